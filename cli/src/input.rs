//! Files that the command line names, read whole, up to a bound: a device has no end. What is in them is their readers' affair
//! (`urls`, `script`, `h2load`).

use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// The bytes of a file. `None`: it has more than `most`.
pub fn bytes(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    up_to(most, File::open(path)?)
}

/// The text of a file, or of standard input where the path is `-`.
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    let bytes = match path == Path::new("-") {
        true => up_to(most, io::stdin())?,
        false => bytes(path, most)?,
    };
    let bytes = bytes.ok_or_else(|| Error::other(format!("it has more than {}", size(most))))?;
    String::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

fn up_to(most: u64, from: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = from.take(most + 1).read_to_end(&mut bytes)?;
    Ok((read as u64 <= most).then_some(bytes))
}

fn size(bytes: u64) -> String {
    match bytes % (1 << 30) {
        0 => format!("{} GiB", bytes >> 30),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_ends_at_the_bound() {
        assert_eq!(up_to(3, &b"abc"[..]).unwrap().as_deref(), Some(&b"abc"[..]));
        assert_eq!(up_to(3, &b"abcd"[..]).unwrap(), None);
        let device = Path::new("/dev/zero");
        assert_eq!(bytes(device, 1 << 20).unwrap(), None);
        assert_eq!(text(device, 1 << 20).unwrap_err().to_string(), "it has more than 1 MiB");
        assert_eq!(size(1 << 30), "1 GiB");
    }
}
