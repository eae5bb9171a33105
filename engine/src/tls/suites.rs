//! The library's cipher suites, with decrypters that leave application data where they decrypted it. Part of `tls.rs`, which
//! offers these suites; `session.rs` asks for the place.
//!
//! rustls decrypts a record in the caller's buffer and then copies what was in it to a `Vec`, for whoever reads it. Here
//! its decrypter, which does all that it did, tells it of the first byte only, so that is what it copies; where the whole
//! lies is noted beside. Nothing else changes: keys, sequence numbers, authentication, padding, and which record is
//! allowed when stay the library's. It hands out that byte if and when it accepts the record, and not before.

use rustls::crypto::aws_lc_rs;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, SupportedCipherSuite, Tls12CipherSuite,
    Tls13CipherSuite,
};
use std::cell::Cell;
use std::ops::Range;
use std::sync::LazyLock;

/// All suites of the library. The suites of a provider live as long as the process, so these are made once.
static SUITES: LazyLock<Vec<SupportedCipherSuite>> =
    LazyLock::new(|| aws_lc_rs::ALL_CIPHER_SUITES.iter().map(in_place).collect());

thread_local! {
    /// The application data of the record decrypted last: its address, which is only compared, and its length. Set within
    /// a call into the library and taken right after it, as only one record of data is decrypted in a call.
    static PLACE: Cell<Option<(usize, usize)>> = const { Cell::new(None) };
}

/// Every suite there is.
pub(super) fn all() -> &'static [SupportedCipherSuite] {
    &SUITES
}

/// Where in `buffer` the data of the record lies that the library has just handed out from there.
#[inline]
pub(super) fn take_place(buffer: &[u8]) -> Range<usize> {
    let (address, len) = PLACE.take().expect("every decrypter of these suites notes the place");
    let start = address.checked_sub(buffer.as_ptr().addr()).expect("records are decrypted in their buffer");
    assert!(start + len <= buffer.len(), "records are decrypted in their buffer");
    start..start + len
}

fn in_place(suite: &SupportedCipherSuite) -> SupportedCipherSuite {
    let same = |common: &CipherSuiteCommon| CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: common.confidentiality_limit,
    };
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: same(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: Box::leak(Box::new(InPlace(suite.aead_alg))),
                quic: suite.quic,
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: same(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: Box::leak(Box::new(InPlace(suite.aead_alg))),
            })))
        }
    }
}

/// An algorithm of the library's whose decrypters are wrapped.
struct InPlace<A: ?Sized + 'static>(&'static A);

impl Tls13AeadAlgorithm for InPlace<dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv)
    }
    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter(self.0.decrypter(key, iv)))
    }
    fn key_len(&self) -> usize {
        self.0.key_len()
    }
    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }
    fn fips(&self) -> bool {
        self.0.fips()
    }
}

impl Tls12AeadAlgorithm for InPlace<dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.0.encrypter(key, iv, extra)
    }
    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(Decrypter(self.0.decrypter(key, iv)))
    }
    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }
    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }
    fn fips(&self) -> bool {
        self.0.fips()
    }
}

/// Decrypts as the library does, and notes the place.
struct Decrypter(Box<dyn MessageDecrypter>);

impl MessageDecrypter for Decrypter {
    fn decrypt<'a>(
        &mut self,
        record: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let mut plain = self.0.decrypt(record, sequence)?;
        // An empty record goes on as it is: the library allows a few in a row.
        if plain.typ == ContentType::ApplicationData && !plain.payload.is_empty() {
            PLACE.set(Some((plain.payload.as_ptr().addr(), plain.payload.len())));
            plain.payload = &plain.payload[..1];
        }
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_there_and_still_serves_quic() {
        assert_eq!(all(), aws_lc_rs::ALL_CIPHER_SUITES);
        for (ours, theirs) in all().iter().zip(aws_lc_rs::ALL_CIPHER_SUITES) {
            let limit = |suite: &SupportedCipherSuite| match suite {
                SupportedCipherSuite::Tls13(s) => (s.common.confidentiality_limit, s.quic.is_some()),
                SupportedCipherSuite::Tls12(s) => (s.common.confidentiality_limit, false),
            };
            assert_eq!(limit(ours), limit(theirs), "{ours:?}");
        }
    }
}
