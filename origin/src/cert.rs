//! The server's certificate: made at start, or read from one PEM file. Not the TLS settings, which are in
//! `tls.rs`, its only caller.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::CertError;

/// A certificate chain with its key.
pub(crate) struct Identity {
    /// Leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub(crate) key: PrivateKeyDer<'static>,
    /// The chain in PEM, without the key: what a client may be told to trust.
    pub(crate) pem: String,
}

/// Makes a self-signed ECDSA P-256 certificate for localhost.
pub(crate) fn generate() -> Result<Identity, CertError> {
    let make = || {
        let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "loadgen origin");
        params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let cert = params.self_signed(&key)?;
        Ok(Identity {
            chain: vec![cert.der().clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            pem: cert.pem(),
        })
    };
    make().map_err(CertError::Generate)
}

/// Reads chain and key from one PEM file, in any order.
pub(crate) fn load(path: &Path) -> Result<Identity, CertError> {
    let file = path.to_path_buf();
    let text = fs::read(path).map_err(|source| CertError::Read { path: file.clone(), source })?;
    let not_pem = |source| CertError::Pem { path: file.clone(), source };
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(not_pem)?;
    if chain.is_empty() {
        return Err(CertError::NoCertificate(file));
    }
    let key = match PrivateKeyDer::pem_slice_iter(&text).next() {
        None => return Err(CertError::NoKey(file)),
        Some(key) => key.map_err(not_pem)?,
    };
    let pem = chain.iter().map(|certificate| encode(certificate)).collect();
    Ok(Identity { chain, key, pem })
}

/// One certificate in PEM (RFC 7468). The file itself may not be passed on: it holds the key.
fn encode(der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    // 48 bytes are 64 characters, the line length of the format.
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits =
                group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
            for place in 0..4 {
                let digit = (bits >> (18 - 6 * place)) & 63;
                pem.push(if place <= group.len() { char::from(ALPHABET[digit as usize]) } else { '=' });
            }
        }
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        for length in [1, 2, 3, 47, 48, 49, 300] {
            let der: Vec<u8> = (0..length).map(|index| (index * 7) as u8).collect();
            let back = CertificateDer::from_pem_slice(encode(&der).as_bytes()).unwrap();
            assert_eq!(back.as_ref(), der);
        }
    }
}
