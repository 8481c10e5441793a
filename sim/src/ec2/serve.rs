//! From a request to its answer.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::beside::{arc, eks, iam, pricing, sqs, ssm};
use super::faults::Fault;
use super::params::Params;
use super::refusal::Refusal;
use super::state::{Action, Answer, State};
use super::xml::Xml;
use super::{Ec2, Lost, describe, fleet, instances, lock, placement, prices, reserve, tags, template, types};

/// The version of EC2's API that is spoken.
const VERSION: &str = "2016-11-15";
/// The version of IAM's.
const IAM_VERSION: &str = "2010-05-08";
/// No request is longer; EC2 itself takes 1 MB.
const MOST_BYTES: usize = 1 << 20;

/// How often a long poll looks.
const POLL: Duration = Duration::from_millis(250);

/// In which form a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Ec2,
    Iam,
    Json,
}

const ACTIONS: &[Action] = &[
    ("CreateFleet", fleet::CREATE, fleet::create),
    ("CreateLaunchTemplate", template::CREATE, template::create),
    ("CreateTags", tags::CREATE, tags::create),
    ("DeleteLaunchTemplate", template::DELETE, template::delete),
    ("DescribeAvailabilityZones", describe::ZONES, describe::zones),
    ("DescribeCapacityReservations", reserve::DESCRIBE, reserve::describe),
    ("DescribeImages", describe::IMAGES, describe::images),
    ("DescribeInstanceStatus", instances::STATUS, instances::status),
    ("DescribeInstanceTypeOfferings", types::OFFERINGS, types::offerings),
    ("DescribeInstanceTypes", types::DESCRIBE, types::describe),
    ("DescribeInstances", instances::DESCRIBE, instances::describe),
    ("DescribeLaunchTemplates", template::DESCRIBE, template::describe),
    ("DescribePlacementGroups", placement::DESCRIBE, placement::describe),
    ("DescribeSecurityGroups", describe::GROUPS, describe::groups),
    ("DescribeSpotPriceHistory", prices::DESCRIBE, prices::describe),
    ("DescribeSubnets", describe::SUBNETS, describe::subnets),
    ("RunInstances", fleet::DRY_RUN, fleet::dry_run),
    ("TerminateInstances", instances::TERMINATE, instances::terminate),
];

/// Actions that do the same thing once for one token.
const ONCE: &[&str] = &["CreateFleet", "CreateLaunchTemplate"];

impl Ec2 {
    /// Answers a request, or loses it.
    ///
    /// # Errors
    /// When a fault has the connection broken.
    pub async fn serve(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Lost> {
        // Half of the way before, half after: who goes away in between does not hear of what was done.
        let half_way = self.locked(|state| state.options.latency) / 2;
        pass(half_way).await;
        let params = Params::parse(request.body());
        let (form, action) = named(&request, &params);
        if action == "sqs:ReceiveMessage" {
            self.until_news(request.body()).await;
        }
        let fault = self.faults(|faults| faults.fire(&action));
        if let Some(Fault::Delay(time)) = fault {
            sleep(time).await;
        }
        let executed = match &fault {
            Some(Fault::LostBefore) => return self.lose(&action, &Fault::LostBefore),
            Some(Fault::Refused(refusal)) => Err(refusal.clone()),
            _ => self.execute(form, &request, &params, &action),
        };
        pass(half_way).await;
        let executed = match fault {
            Some(Fault::LostAfter) => return self.lose(&action, &Fault::LostAfter),
            Some(Fault::BrokenAfter) => Err(Refusal::internal()),
            _ => executed,
        };
        let outcome = executed.as_ref().map_or_else(|refusal| refusal.code.clone(), |_| "ok".to_owned());
        let (now, id) = self.locked(|state| (state.now(), state.request_id()));
        lock(&self.0.log).note(now, &action, outcome);
        Ok(form.response(&action, &id, executed))
    }

    /// Waits as long as a long poll does: until there is a message, or the time it names is over.
    async fn until_news(&self, body: &[u8]) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let wait = Duration::from_secs(body["WaitTimeSeconds"].as_u64().unwrap_or(0).min(20));
        let end = Instant::now() + wait;
        while Instant::now() < end && !self.locked(|state| state.queue.has_visible(state.now())) {
            sleep(POLL).await;
        }
    }

    fn lose(&self, action: &str, fault: &Fault) -> Result<Response<Bytes>, Lost> {
        let now = self.locked(|state| state.now());
        lock(&self.0.log).note(now, action, fault.words());
        Err(Lost)
    }

    /// Executes a call; the elements of its answer.
    fn execute(&self, form: Form, request: &Request<Bytes>, params: &Params, name: &str) -> Result<String, Refusal> {
        if request.body().len() > MOST_BYTES {
            return Err(Refusal::with_status(413, "RequestEntityTooLarge", "The request is too large"));
        }
        if !request.headers().contains_key(header::AUTHORIZATION) {
            let message = "Request is missing Authentication Token";
            return Err(Refusal::with_status(403, "MissingAuthenticationToken", message));
        }
        let plain = name.rsplit(':').next().unwrap_or(name);
        let actions = match form {
            Form::Json => return self.locked(|state| json(state, request, name)),
            Form::Iam => iam::ACTIONS,
            Form::Ec2 => ACTIONS,
        };
        let Some((_, known, run)) = actions.iter().find(|(action, ..)| *action == plain) else {
            return Err(Refusal::unimplemented(name));
        };
        if let Some(unknown) = params.unknown(&[*known, &["Action", "Version"]].concat()) {
            return Err(Refusal::unknown_parameter(&unknown));
        }
        self.locked(|state| {
            if state.options.throttles && !lock(&self.0.buckets).take(name, params, state.now()) {
                return Err(Refusal::throttled());
            }
            if name.starts_with("Describe") {
                state.authorize(name)?;
            }
            let token = params.text("ClientToken").filter(|_| ONCE.contains(&name));
            if params.is_true("DryRun") {
                return looked_at(params, run(state, params)).and_then(|_| Err(Refusal::dry_run()));
            }
            let asked = token.map(|_| params.fingerprint("ClientToken")).unwrap_or_default();
            if let Some(told) = state.told(name, token, &asked)? {
                return Ok(told);
            }
            let body = looked_at(params, run(state, params))?.0.into_text();
            if let Some(token) = token {
                state.keep(name, token, asked, body.clone());
            }
            Ok(body)
        })
    }
}

/// A parameter that is known and was not looked at means nothing here: whoever sends it is to hear of it, even now.
fn looked_at(params: &Params, outcome: Result<Answer, Refusal>) -> Result<Answer, Refusal> {
    let is_good = outcome.as_ref().map_or_else(|refusal| refusal.code == "DryRunOperation", |_| true);
    match params.unread().filter(|_| is_good) {
        Some(key) => Err(Refusal::unimplemented(&format!("the parameter {key} in this combination"))),
        None => outcome,
    }
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// Whose action a request names, and which; `service:Action` for those that are not EC2's.
fn named(request: &Request<Bytes>, params: &Params) -> (Form, String) {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    if let Some((service, action)) = target.and_then(|target| target.split_once('.')) {
        let service = match service {
            "AmazonSSM" => "ssm",
            "AmazonSQS" => "sqs",
            "AWSPriceListService" => "pricing",
            other => other,
        };
        return (Form::Json, format!("{service}:{action}"));
    }
    if request.uri().path().starts_with("/clusters/") && request.method() == Method::GET {
        return (Form::Json, "eks:DescribeCluster".to_owned());
    }
    if request.uri().path().starts_with("/managedresources/") && request.method() == Method::GET {
        return (Form::Json, "arc-zonal-shift:GetManagedResource".to_owned());
    }
    let action = params.text("Action").unwrap_or("none");
    match params.text("Version") {
        Some(VERSION) => (Form::Ec2, action.to_owned()),
        Some(IAM_VERSION) => (Form::Iam, format!("iam:{action}")),
        other => (Form::Ec2, format!("{action} of version {}", other.unwrap_or("none"))),
    }
}

/// Executes an action of a service that speaks JSON.
fn json(state: &mut State, request: &Request<Bytes>, name: &str) -> Result<String, Refusal> {
    let body = if request.body().is_empty() { b"{}" } else { request.body().as_ref() };
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::new("SerializationException", format!("the body is no JSON: {error}")))?;
    let answer = match name {
        "pricing:GetProducts" => pricing::get_products(state, &body)?,
        "sqs:GetQueueUrl" => sqs::get_queue_url(state, &body)?,
        "sqs:ReceiveMessage" => sqs::receive_message(state, &body)?,
        "sqs:DeleteMessage" => sqs::delete_message(state, &body)?,
        "ssm:GetParameter" => ssm::get_parameter(state, &body)?,
        "eks:DescribeCluster" => {
            let cluster = request.uri().path().trim_start_matches("/clusters/");
            eks::describe_cluster(state, cluster)?
        }
        "arc-zonal-shift:GetManagedResource" => arc::get_managed_resource(state, request.uri().path())?,
        other => return Err(Refusal::unimplemented(other)),
    };
    Ok(answer.to_string())
}

impl Form {
    fn response(self, action: &str, id: &str, executed: Result<String, Refusal>) -> Response<Bytes> {
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
        let plain = action.rsplit(':').next().unwrap_or(action);
        let (status, body, code) = match (self, executed) {
            (Self::Ec2, Ok(body)) => {
                let space = format!("xmlns=\"http://ec2.amazonaws.com/doc/{VERSION}/\"");
                let body = format!("<{plain}Response {space}><requestId>{id}</requestId>{body}</{plain}Response>");
                (200, format!("{declaration}\n{body}"), None)
            }
            (Self::Iam, Ok(body)) => {
                let space = format!("xmlns=\"https://iam.amazonaws.com/doc/{IAM_VERSION}/\"");
                let meta = format!("<ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>");
                (200, format!("<{plain}Response {space}>{body}{meta}</{plain}Response>"), None)
            }
            (Self::Json, Ok(body)) => (200, body, None),
            (Self::Ec2, Err(refusal)) => (refusal.status, refusal.document(id), None),
            (Self::Iam, Err(refusal)) => {
                let mut xml = Xml::default();
                xml.node("ErrorResponse", |xml| {
                    xml.node("Error", |xml| {
                        xml.leaf("Code", &refusal.code);
                        xml.leaf("Message", &refusal.message);
                    });
                    xml.leaf("RequestId", id);
                });
                (refusal.status, xml.into_text(), None)
            }
            (Self::Json, Err(refusal)) => {
                let body = json!({ "__type": refusal.code, "message": refusal.message }).to_string();
                (refusal.status, body, Some(refusal.code))
            }
        };
        let kind = if self == Self::Json { "application/x-amz-json-1.1" } else { "text/xml;charset=UTF-8" };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        // EKS tells the code here.
        if let Some(code) = code.and_then(|code| HeaderValue::from_str(&code).ok()) {
            response.headers_mut().insert("x-amzn-errortype", code);
        }
        response
    }
}
