//! Bad input: every mistake is told with the file, the object, the field, the value and what to do; nothing is planned.
//! And input that is merely large is planned.
#![expect(clippy::unwrap_used, reason = "a test program; its helpers may panic too")]

#[path = "bad_input/cases.rs"]
mod cases;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use cases::{CASES, OPTIONS};

/// A folder of this test alone, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millwright-bad-input-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.0.join(name), content).unwrap();
        self
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_millwright")).args(args).current_dir(&self.0).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Exit code 1, an empty stdout, and every part on stderr; else what is wrong.
fn judge(name: &str, out: &Output, parts: &[&str]) -> Option<String> {
    let said = String::from_utf8_lossy(&out.stderr);
    let missing: Vec<&&str> = parts.iter().filter(|part| !said.contains(**part)).collect();
    let quiet = out.stdout.is_empty() && out.status.code() == Some(1) && !said.contains("panicked");
    (!quiet || !missing.is_empty())
        .then(|| format!("{name}: exit {:?}, missing {missing:?} in:\n{said}", out.status.code()))
}

#[test]
fn every_mistake_in_a_file_is_told_with_its_place_and_its_remedy() {
    let folder = Folder::new("files");
    let failed: Vec<String> = CASES
        .iter()
        .filter_map(|case| {
            folder.write(case.file, case.text);
            judge(case.about, &folder.run(&["plan", "-o", "json", "-f", case.file]), case.told)
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} failed\n{}", failed.len(), CASES.len(), failed.join("\n"));
}

#[test]
fn every_mistake_in_an_option_is_told_with_its_remedy() {
    let folder = Folder::new("options");
    folder
        .write("ok.yaml", cases::EC2)
        .write("torn.csv", "instance_type,zone,capacity_type,usd_per_hour\nm5.large,,spot,cheap\n")
        .write("nan.csv", "instance_type,zone,capacity_type,usd_per_hour\nm5.large,,spot,NaN\n")
        .write("infinite.csv", "instance_type,zone,capacity_type,usd_per_hour\nm5.large,,spot,inf\n")
        .write("negative.csv", "instance_type,zone,capacity_type,usd_per_hour\nm5.large,,spot,-0.1\n")
        .write("short.csv", "instance_type,zone,capacity_type,usd_per_hour\nm5.large,spot\n")
        .write("binary.csv", b"instance_type,zone,capacity_type,usd_per_hour\n\xff\x00,,spot,1\n");
    let failed: Vec<String> = OPTIONS
        .iter()
        .filter_map(|(args, told)| {
            let out = folder.run(&[&["plan", "-f", "ok.yaml"], *args].concat());
            judge(&args.join(" "), &out, told)
        })
        .collect();
    assert!(failed.is_empty(), "{} of {} failed\n{}", failed.len(), OPTIONS.len(), failed.join("\n"));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = Folder::new("unreadable");
    folder
        .write("torn.yaml.gz", [0x1f, 0x8b, 8, 0, 1, 2, 3])
        .write("latin.yaml", b"kind: Pod\nmetadata: {name: caf\xe9}\n");
    std::fs::create_dir_all(folder.0.join("empty")).unwrap();
    std::fs::create_dir_all(folder.0.join("loop")).unwrap();
    std::os::unix::fs::symlink("a.yaml", folder.0.join("loop/a.yaml")).unwrap();
    std::fs::create_dir_all(folder.0.join("dangling")).unwrap();
    std::os::unix::fs::symlink("gone.yaml", folder.0.join("dangling/a.yaml")).unwrap();
    std::fs::create_dir_all(folder.0.join("pipes")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.0.join("pipes/a.yaml")).unwrap();
    folder
        .write("bomb.yaml.gz", bomb())
        .write("picture.yaml", b"\x89PNG\r\n\x1a\n\x00\x00")
        .write("deep.json", "[".repeat(1_000_000));
    folder.write("deep.yaml", "- ".repeat(100_000));
    let cases: [(&str, &[&str]); 11] = [
        ("nowhere.yaml", &["nowhere.yaml", "cannot be read", "remedy: check the path given with -f"]),
        ("torn.yaml.gz", &["torn.yaml.gz", "gzip", "remedy"]),
        ("bomb.yaml.gz", &["bomb.yaml.gz", "unpack to more than", "remedy"]),
        ("picture.yaml", &["picture.yaml", "binary file", "remedy"]),
        ("loop", &["loop/a.yaml", "cannot be read", "symbolic link", "remedy"]),
        ("dangling", &["dangling/a.yaml", "cannot be read", "remedy"]),
        ("pipes", &["pipes/a.yaml", "pipe, socket or device", "remedy"]),
        ("deep.json", &["deep.json:1", "recursion limit", "remedy"]),
        ("deep.yaml", &["deep.yaml:1", "broken YAML", "deeper than 64", "remedy"]),
        ("latin.yaml", &["latin.yaml:2", "UTF-8", "remedy"]),
        ("empty", &["empty", "no .yaml, .yml or .json file", "remedy"]),
    ];
    for (path, told) in cases {
        assert_eq!(judge(path, &folder.run(&["plan", "-f", path]), told), None);
    }
}

#[test]
fn a_stderr_that_takes_nothing_ends_nothing() {
    let folder = Folder::new("deaf");
    folder.write("ok.yaml", cases::POOL);
    let record = ["record", "-o", "r.gz", "-f", "ok.yaml", "-v"];
    let cases: [(&[&str], i32); 6] = [
        (&["plan", "-f", "ok.yaml", "-v"], 0),
        (&["plan", "-f", "ok.yaml", "--unavailable", "nothing/*/*"], 0),
        (&record, 0),
        (&["replay", "r.gz", "-v"], 0),
        (&["plan", "-f", "nowhere.yaml"], 1),
        (&["controller", "--provider", "kwok", "--kubeconfig", "nowhere"], 1),
    ];
    for (args, code) in cases {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut run = Command::new(env!("CARGO_BIN_EXE_millwright"));
        let out = run.args(args).current_dir(&folder.0).stderr(full).output().unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}");
        assert!(out.stdout.is_empty() == matches!(args[0], "record") || code == 1, "{args:?}");
    }
}

/// A small gzip stream of very many equal lines.
fn bomb() -> Vec<u8> {
    use std::io::Write;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let lines = "# nothing at all\n".repeat(60_000);
    for _ in 0..70 {
        gzip.write_all(lines.as_bytes()).unwrap();
    }
    gzip.finish().unwrap()
}

#[test]
fn what_says_nothing_or_says_it_twice_is_no_mistake() {
    let folder = Folder::new("nothing");
    folder
        .write("pool.yaml", cases::POOL)
        .write("blank.yaml", "")
        .write("comments.yaml", "---\n# nothing\n---\n...\n---\n")
        .write("blank.json", " \n")
        .write("list.yaml", "apiVersion: v1\nkind: List\nitems: []\n")
        .write("again.json", "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"m\"}}")
        .write("again.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: m, uid: null}\n");
    for path in ["blank.yaml", "comments.yaml", "blank.json", "list.yaml", "again.yaml"] {
        let out = folder.run(&["plan", "-o", "json", "-f", "pool.yaml", "-f", path, "-f", "again.json"]);
        assert_eq!(out.status.code(), Some(0), "{path}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn a_contradiction_is_a_reason_and_no_mistake() {
    let folder = Folder::new("contradiction");
    folder.write("pool.yaml", cases::POOL).write(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: mill}\nspec:\n  nodeSelector: {kubernetes.io/arch: arm64}\n  \
         containers: [{name: main, image: i, resources: {requests: {cpu: 100m}}}]\n",
    );
    let out = folder.run(&["plan", "-o", "json", "-f", "pool.yaml", "-f", "pod.yaml"]);
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
    let plan: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(plan["unplaced"][0]["reasons"][0]["code"], "RequirementConflict", "{plan}");
}

#[test]
fn a_mistake_deep_in_a_folder_is_named_by_its_own_file_and_line() {
    let folder = Folder::new("tree");
    std::fs::create_dir_all(folder.0.join("all/team/app")).unwrap();
    folder.write("all/pool.yaml", cases::POOL);
    folder.write(
        "all/team/app/web.yaml",
        "# first comes a good one\napiVersion: v1\nkind: Namespace\nmetadata: {name: mill}\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: mill}\nspec:\n  replicas: many\n",
    );
    let told = ["all/team/app/web.yaml:6", "Deployment mill/web", "spec.replicas", "many"];
    assert_eq!(judge("tree", &folder.run(&["plan", "-f", "all"]), &told), None);
}

/// Lines of the large file: a million, and a tenth of that where the parser is built without optimisation.
const LINES: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

#[test]
fn a_file_of_a_million_lines_is_planned() {
    let folder = Folder::new("large");
    let mut text = String::with_capacity(40 << 20);
    text += cases::POOL;
    let filler = "    mill.example/note-00: a line that nobody needs, and that has to be read all the same\n";
    let mut lines = text.lines().count();
    let mut n = 0;
    while lines < LINES {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p{n}\n  namespace: mill\n  labels: {{app: p}}\n  annotations:\n"
        );
        for note in 0..988 {
            text += &filler.replace("00", &note.to_string());
        }
        text +=
            "spec:\n  containers:\n    - {name: main, image: i, resources: {requests: {cpu: 100m, memory: 64Mi}}}\n";
        (n, lines) = (n + 1, lines + 8 + 988 + 3);
    }
    folder.write("large.yaml", &text);
    let out = folder.run(&["plan", "-o", "json", "-v", "-f", "large.yaml"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{said}");
    let plan: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(plan["summary"]["placedOnNewNodes"], n, "{said}");
    assert!(said.contains("peak memory"), "{said}");
}
