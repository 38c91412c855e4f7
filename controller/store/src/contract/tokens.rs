//! Enrolment tokens before they are used.

use super::fixtures::{enrolled, entry, logged, second, token, token_id};
use crate::{Store, TokenState};

/// What is listed, and what proves it.
pub async fn a_token_reads_back_with_its_key(store: &dyn Store) {
    let made = token(1, Some("fra-bot-07"));
    assert!(store.create_token(&made, &entry("token.create", "token")).await.unwrap());

    let (read, key) = store.token(&made.id, second(1)).await.unwrap().unwrap();
    assert!(key == made.key);
    assert_eq!(read.id, made.id);
    assert_eq!(read.host_name, made.host_name);
    assert_eq!(read.labels, made.labels);
    assert_eq!(read.state, TokenState::Open);
    assert_eq!(read.admits, made.admits);
    assert_eq!((read.created_at, read.expires_at), (made.created_at, made.expires_at));
    assert_eq!((read.created_by.as_str(), read.used_by.as_ref()), ("anna", None));
    assert_eq!(store.tokens(second(1)).await.unwrap(), [read]);
    assert!(store.token(&token_id(2), second(1)).await.unwrap().is_none());
}

/// Nothing has to happen at that time, and nothing is written.
pub async fn a_token_expires_by_the_time_asked_for(store: &dyn Store) {
    let made = token(1, None);
    assert!(store.create_token(&made, &entry("token.create", "token")).await.unwrap());
    for (at, expected) in [(99, TokenState::Open), (100, TokenState::Expired), (99, TokenState::Open)] {
        let (read, _) = store.token(&made.id, second(at)).await.unwrap().unwrap();
        assert_eq!(read.state, expected);
        assert_eq!(store.tokens(second(at)).await.unwrap()[0].state, expected);
    }
}

/// To a host or to the holder of an open token; a token that came to nothing frees it.
pub async fn a_name_is_promised_once(store: &dyn Store) {
    let audit = entry("token.create", "token");
    enrolled(store, 1).await;
    assert!(!store.create_token(&token(11, Some("bot-01")), &audit).await.unwrap());

    assert!(store.create_token(&token(2, Some("bot-02")), &audit).await.unwrap());
    let before = logged(store).await;
    assert!(!store.create_token(&token(12, Some("bot-02")), &audit).await.unwrap());
    assert_eq!(logged(store).await, before);

    assert!(store.revoke_token(&token_id(2), &audit).await.unwrap());
    assert!(store.create_token(&token(12, Some("bot-02")), &audit).await.unwrap());

    let mut late = token(22, Some("bot-02"));
    (late.created_at, late.expires_at) = (second(100), second(200));
    assert!(store.create_token(&late, &audit).await.unwrap());
    for number in [31, 32] {
        assert!(store.create_token(&token(number, None), &audit).await.unwrap());
    }
}

/// A used token stays used, so that a listing says who used it.
pub async fn only_an_open_token_can_be_revoked(store: &dyn Store) {
    let host = enrolled(store, 1).await;
    assert!(store.create_token(&token(2, None), &entry("token.create", "token")).await.unwrap());
    let audit = entry("token.revoke", "token");
    let before = logged(store).await;
    for (number, expected) in [(1, false), (2, true), (2, false), (3, false)] {
        assert_eq!(store.revoke_token(&token_id(number), &audit).await.unwrap(), expected);
    }
    assert_eq!(logged(store).await, before + 1);

    let (used, _) = store.token(&token_id(1), second(200)).await.unwrap().unwrap();
    assert_eq!((used.state, used.used_by), (TokenState::Used, Some(host)));
    let (revoked, _) = store.token(&token_id(2), second(200)).await.unwrap().unwrap();
    assert_eq!(revoked.state, TokenState::Revoked);
}

/// The one just made is the one an operator looks for.
pub async fn tokens_are_listed_newest_first(store: &dyn Store) {
    for (number, at) in [(1, 5), (2, 9), (3, 7)] {
        let mut token = token(number, None);
        token.created_at = second(at);
        assert!(store.create_token(&token, &entry("token.create", "token")).await.unwrap());
    }
    let listed: Vec<_> = store.tokens(second(10)).await.unwrap().into_iter().map(|token| token.id).collect();
    assert_eq!(listed, [token_id(2), token_id(3), token_id(1)]);
}
