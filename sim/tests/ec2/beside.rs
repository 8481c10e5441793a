//! The services beside EC2: what they are asked is looked at to the last member.

use serde_json::{Value, json};

use super::wire::{asked, ec2};

#[tokio::test(start_paused = true)]
async fn a_member_that_nobody_reads_or_is_of_the_wrong_kind_is_an_error() {
    let ec2 = ec2(|_| {});
    let url = "https://sqs.us-west-2.amazonaws.com/123456789012/demo";
    let region = json!([{ "Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-west-2" }]);
    let machines = json!([
        { "Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-west-2" },
        { "Type": "TERM_MATCH", "Field": "productFamily", "Value": "Compute Instance" },
    ]);
    let filter = |field: &str, value: &str| json!([{ "Type": "TERM_MATCH", "Field": field, "Value": value }]);
    for (target, body, code) in [
        ("AmazonSQS.GetQueueUrl", json!({ "QueueName": "demo", "Colour": "red" }), "UnknownParameter"),
        ("AmazonSQS.GetQueueUrl", json!({ "QueueName": 7 }), "SerializationException"),
        ("AmazonSQS.GetQueueUrl", json!([]), "SerializationException"),
        ("AmazonSQS.ReceiveMessage", json!({ "QueueUrl": url, "MaxNumberOfMessages": 11 }), "InvalidParameterValue"),
        ("AmazonSQS.ReceiveMessage", json!({ "QueueUrl": url, "WaitTimeSeconds": 21 }), "InvalidParameterValue"),
        ("AmazonSQS.ReceiveMessage", json!({ "QueueUrl": url, "VisibilityTimeout": "30" }), "SerializationException"),
        ("AmazonSQS.DeleteMessage", json!({ "QueueUrl": url }), "MissingParameter"),
        ("AmazonSQS.DeleteMessage", json!({ "QueueUrl": url, "ReceiptHandle": "x" }), "ReceiptHandleIsInvalid"),
        ("AmazonSSM.GetParameter", json!({ "Name": "/a", "WithDecryption": true }), "UnknownParameter"),
        ("AmazonSSM.GetParameter", json!({ "Name": "/a" }), "ParameterNotFound"),
        (
            "AWSPriceListService.GetProducts",
            json!({ "ServiceCode": "AmazonEC2", "Filters": machines, "MaxResults": 101 }),
            "InvalidParameterValue",
        ),
        ("AWSPriceListService.GetProducts", json!({ "Filters": region }), "MissingParameter"),
        (
            "AWSPriceListService.GetProducts",
            json!({ "ServiceCode": "AmazonEC2", "Filters": filter("colour", "red") }),
            "InvalidParameterException",
        ),
        (
            "AWSPriceListService.GetProducts",
            json!({ "ServiceCode": "AmazonEC2", "Filters": filter("operatingSystem", "Windows") }),
            "InvalidParameterException",
        ),
    ] {
        let (status, answer) = asked(&ec2, target, &body).await;
        assert_eq!((status, answer["__type"].as_str()), (400, Some(code)), "{target} {body}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_received_once_until_its_time_is_over_and_deleted_by_its_receipt() {
    let ec2 = ec2(|_| {});
    ec2.locked(|state| {
        let now = state.now();
        state.queue.send("hello".into(), now);
    });
    let (_, found) = asked(&ec2, "AmazonSQS.GetQueueUrl", &json!({ "QueueName": "demo" })).await;
    let receive = json!({ "QueueUrl": found["QueueUrl"], "VisibilityTimeout": 10, "MaxNumberOfMessages": 10 });
    let (_, first) = asked(&ec2, "AmazonSQS.ReceiveMessage", &receive).await;
    assert_eq!(first["Messages"][0]["Body"], "hello");
    assert_eq!(asked(&ec2, "AmazonSQS.ReceiveMessage", &receive).await.1["Messages"], Value::Null);
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    let (_, again) = asked(&ec2, "AmazonSQS.ReceiveMessage", &receive).await;
    let receipt = &again["Messages"][0]["ReceiptHandle"];
    asked(&ec2, "AmazonSQS.DeleteMessage", &json!({ "QueueUrl": found["QueueUrl"], "ReceiptHandle": receipt })).await;
    assert!(ec2.locked(|state| state.queue.is_empty()));
}
