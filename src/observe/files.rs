//! Reads the objects in files, folders and standard input.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::documents;
use super::error::InputError;
use super::objects::{Builder, Objects, Validate};
use super::refused;

/// Endings that are read in a folder, each also with `.gz`. A file named on the command line may have any ending.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];
/// Bytes of one file, unpacked. A dump of 150,000 pods has about 1.5 GB.
const MAX_BYTES: u64 = 4 << 30;
/// Up to here a gzip stream may unpack to as much as it likes.
const FREE_BYTES: u64 = 64 << 20;
/// Beyond that, how many times its own size a gzip stream may unpack to. Objects that differ in their names alone come
/// to about 100, and gzip ends at 1032: what comes near that is made to fill the memory.
const MAX_RATIO: u64 = 400;

/// Every object below `paths`: files, folders (recursively) and `-` for standard input.
///
/// # Errors
/// On the first thing that cannot be read or is no valid object.
pub fn read<P: AsRef<Path>>(paths: &[P], validate: Validate) -> Result<Objects, InputError> {
    let mut builder = Builder::new(validate);
    for file in list(paths)? {
        let (name, bytes) = load(&file)?;
        documents::each(&name, &bytes, &mut builder)?;
    }
    let objects = builder.finish();
    refused::check(&objects)?;
    Ok(objects)
}

/// The files to read, folders opened, in name order; each file once.
fn list<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<PathBuf>, InputError> {
    let mut out = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        if path.is_dir() {
            let before = out.len();
            below(path, &mut out)?;
            if out.len() == before {
                return Err(InputError::new("no .yaml, .yml or .json file in this folder")
                    .file(&path.to_string_lossy())
                    .remedy("name the file itself if it has another ending"));
            }
        } else {
            out.push(path.to_path_buf());
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    out.retain(|path| seen.insert(path.clone()));
    Ok(out)
}

fn below(folder: &Path, out: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let failed = |source: io::Error| cannot_read(folder, &source);
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    entries.sort();
    for path in entries {
        // A link to a folder is not followed: it could lead back here.
        let is_link = path.symlink_metadata().is_ok_and(|m| m.is_symlink());
        if path.is_dir() {
            if !is_link {
                below(&path, out)?;
            }
        } else if wanted(&path) {
            // A broken link is no file either, but reading it says so.
            if path.metadata().is_ok_and(|found| !found.is_file()) {
                return Err(InputError::new("is a pipe, socket or device: reading it may never end")
                    .file(&path.to_string_lossy())
                    .remedy("take it out of the folder, or name it by itself with -f"));
            }
            out.push(path);
        }
    }
    Ok(())
}

fn wanted(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && ENDINGS.contains(&ending))
}

/// The name to call a file by, and its bytes, unpacked.
fn load(path: &Path) -> Result<(String, Vec<u8>), InputError> {
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { "<stdin>".to_string() } else { path.to_string_lossy().into_owned() };
    let source: io::Result<Box<dyn Read>> =
        if is_stdin { Ok(Box::new(io::stdin().lock())) } else { fs::File::open(path).map(|file| Box::new(file) as _) };
    let bytes = source.and_then(read_text).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => InputError::new(source.to_string())
            .file(&name)
            .remedy("name files of YAML or JSON in UTF-8, or such files packed by gzip"),
        _ => cannot_read(Path::new(&name), &source),
    })?;
    let bytes = unpack(bytes).map_err(|source| {
        let remedy = match source.kind() {
            io::ErrorKind::FileTooLarge => "unpack it and look at it; several smaller files are read as one",
            _ => "check that the file is complete",
        };
        InputError::new(format!("cannot be unpacked by gzip: {source}")).file(&name).remedy(remedy)
    })?;
    Ok((name, bytes))
}

/// Everything of a source, unless its beginning says already that it is no text, or it does not end.
fn read_text(mut source: impl Read) -> io::Result<Vec<u8>> {
    const HEAD: u64 = 64 << 10;
    let mut bytes = Vec::new();
    source.by_ref().take(HEAD).read_to_end(&mut bytes)?;
    if !bytes.starts_with(&GZIP) && bytes.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "is a binary file, not text"));
    }
    source.take(MAX_BYTES + 1 - HEAD).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("has more than {} GiB", MAX_BYTES >> 30)));
    }
    Ok(bytes)
}

/// What a gzip stream begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Gunzips what begins like gzip.
pub(crate) fn unpack(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let most = (bytes.len() as u64).saturating_mul(MAX_RATIO).clamp(FREE_BYTES, MAX_BYTES);
    let mut out = Vec::new();
    MultiGzDecoder::new(&bytes[..]).take(most + 1).read_to_end(&mut out)?;
    if out.len() as u64 > most {
        let message = format!("{} bytes unpack to more than {most}", bytes.len());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(out)
}

fn cannot_read(path: &Path, source: &io::Error) -> InputError {
    let remedy = match source.kind() {
        io::ErrorKind::NotFound => "check the path given with -f",
        io::ErrorKind::PermissionDenied => "make the file readable for this user",
        _ => "check the file",
    };
    InputError::new(format!("cannot be read: {source}")).file(&path.to_string_lossy()).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i}]}\n";

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("millwright-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("deep/er")).unwrap();
        path
    }

    #[test]
    fn a_folder_is_read_recursively_and_other_endings_are_left_alone() {
        let dir = folder("tree");
        fs::write(dir.join("deep/er/a.yaml"), POD).unwrap();
        fs::write(dir.join("deep/b.yml"), POD.replace("name: a", "name: b")).unwrap();
        fs::write(
            dir.join("c.json"),
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"},"spec":{"containers":[{"name":"c"}]}}"#,
        )
        .unwrap();
        fs::write(dir.join("README.md"), "no object").unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(POD.replace("name: a", "name: d").as_bytes()).unwrap();
        fs::write(dir.join("d.yaml.gz"), gzip.finish().unwrap()).unwrap();
        let objects = read(&[&dir], Validate::Strict).unwrap();
        let names: Vec<&str> = objects.pods.iter().map(|pod| &*pod.object.metadata.name).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(&["no/such/file.yaml"], Validate::Strict).unwrap_err();
        assert_eq!(error.file.as_deref(), Some("no/such/file.yaml"));
    }

    #[test]
    fn a_gzip_bomb_is_refused_before_it_fills_the_memory() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![0; 1 << 20];
        for _ in 0..=FREE_BYTES >> 20 {
            gzip.write_all(&zeros).unwrap();
        }
        let error = unpack(gzip.finish().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
    }

    #[test]
    fn what_is_no_text_is_known_by_its_beginning() {
        let error = read_text(io::repeat(0)).unwrap_err();
        assert_eq!(error.to_string(), "is a binary file, not text");
        assert_eq!(read_text(&b"kind: Pod"[..]).unwrap(), b"kind: Pod");
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let dir = folder("empty");
        assert!(read(&[&dir], Validate::Strict).unwrap_err().to_string().contains("no .yaml"));
        fs::remove_dir_all(dir).unwrap();
    }
}
