//! `millwright sim ec2` as another program meets it: an address on stdout, EC2's answers on that port.
#![expect(clippy::unwrap_used, reason = "a test program; its helpers may panic too")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server; killed when it goes out of use.
struct Server(Child, String);

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended by itself is as good as killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(args: &[&str]) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millwright"));
    let mut child = command.args(["sim", "ec2"]).args(args).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap_or_default().to_owned();
    Server(child, address)
}

/// The whole answer, or as much of it as came before the connection broke.
fn post(server: &Server, body: &str) -> String {
    let mut stream = TcpStream::connect(&server.1).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: ec2\r\nAuthorization: AWS4-HMAC-SHA256 Credential=A\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap_or_default();
    answer
}

#[test]
fn it_answers_on_the_port_that_it_prints() {
    let server = serve(&["--region", "eu-west-1", "--cluster", "shop"]);
    let answer = post(&server, "Action=DescribeSubnets&Version=2016-11-15");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("<availabilityZone>eu-west-1a</availabilityZone>") && answer.contains("<value>shop</value>")
    );
    let refused = post(&server, "Action=StopInstances&Version=2016-11-15");
    assert!(refused.starts_with("HTTP/1.1 501") && refused.contains("does not implement StopInstances"), "{refused}");
}

#[test]
fn a_script_breaks_what_it_names() {
    let folder = std::env::temp_dir().join(format!("millwright-sim-ec2-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = folder.join("faults.json");
    std::fs::write(&script, r#"{ "faults": [ { "action": "DescribeSubnets", "fault": "lost-after" } ] }"#).unwrap();
    let server = serve(&["--faults", script.to_str().unwrap()]);
    assert_eq!(post(&server, "Action=DescribeSubnets&Version=2016-11-15"), "", "the connection breaks");
    assert!(post(&server, "Action=DescribeSubnets&Version=2016-11-15").starts_with("HTTP/1.1 200"));
    std::fs::write(&script, r#"{ "faults": [ { "fault": "flood" } ] }"#).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_millwright"))
        .args(["sim", "ec2", "--faults", script.to_str().unwrap()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(1)
            && output.stdout.is_empty()
            && told.contains("faults[0].fault \"flood\" is no fault"),
        "{told}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn only_this_machine_may_reach_it() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_millwright")).args(["sim", "ec2", "--listen", "0.0.0.0:0"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("is no loopback address: use 127.0.0.1"), "{told}");
}
