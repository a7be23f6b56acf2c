use tokio_tungstenite::tungstenite::error::ProtocolError;

use super::*;
use crate::end::Broken;
use crate::poison::Fault;
use crate::subscribe::FeedState;
use crate::twin::{Act, Server, Setting, config, run};

#[tokio::test]
async fn a_close_of_the_server_is_answered() {
    let mut server = Server::start(vec![vec![Act::Close]]).await;
    let mut feed = run(config(&server.url, ""), Setting::default());
    assert!(server.hears().await.starts_with("close "));
    assert!(feed.until_state(FeedState::Waiting).await.contains("closed the connection"));
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_so() {
    for (garbage, code) in [(Act::LongPing, "close 1002"), (Act::NotText, "close 1007")] {
        let mut server = Server::start(vec![vec![garbage], vec![]]).await;
        let _feed = run(config(&server.url, ""), Setting::default());
        assert_eq!(server.hears().await, code);
    }
}

#[tokio::test]
async fn a_feed_that_stops_says_goodbye() {
    let mut server = Server::start(vec![vec![]]).await;
    let mut feed = run(config(&server.url, ""), Setting::default());
    feed.until_state(FeedState::Live).await;
    feed.stop.send_replace(true);
    assert_eq!(server.hears().await, "close 1000");
    feed.task.await.unwrap();
}

#[test]
fn a_fault_of_a_frame_stays_one_wherever_it_is_met() {
    let end = End::from(WsError::Utf8("index 0".into()));
    assert!(matches!(end, End::Broken(Broken { fault: Some(Fault::NotText(_)), .. })));
    let end = End::from(WsError::Protocol(ProtocolError::ControlFrameTooBig));
    assert!(matches!(end, End::Broken(Broken { fault: None, farewell: Farewell::Close(CloseCode::Protocol), .. })));
}
