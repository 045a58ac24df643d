//! A player that asks a node for a film which only another one holds: the first frame, then a seek.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::files;
use crate::row::{Row, quantile};
use crate::stage::{Stage, add, board, follow, post};

/// Films; half of them are at or below the figure.
const FILMS: usize = 5;
/// What a player asks for at first, and after a seek.
const RANGE_BYTES: u64 = 256 << 10;

pub fn run(stage: &Stage) -> Result<()> {
    let size_bytes = stage.large_bytes() / 16;
    let (a, b) = (stage.setup("a").start()?, stage.setup("b").start()?);
    let (space, ticket) = board(&a)?;
    let token = fs::read_to_string(stage.path("b").join("api-token"))?;
    let authority = b.url.trim_start_matches("http://");
    let mut figures_ms = [const { Vec::new() }; 4];
    for film in 0..FILMS {
        let file = stage.path("film.bin");
        // another end makes another blob
        files::make(&file, size_bytes + film as u64)?;
        let blob = add(&a, &file)?;
        let said = json!({"space": space, "title": "Film", "body": "", "media": [blob]});
        let thread = post(&a.client()?, &said)?;
        follow(&b, &ticket, &thread, 1)?;
        let ask = |first: u64, last: u64| {
            let request = format!(
                "GET /ipfs/{blob} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\
                 authorization: Bearer {}\r\nrange: bytes={first}-{last}\r\n\r\n",
                token.trim()
            );
            timed(authority, &request)
        };
        let frame = ask(0, RANGE_BYTES - 1)?;
        let seek = ask(size_bytes - RANGE_BYTES, size_bytes - 1)?;
        eprintln!("film {film}: first frame {frame:.1?} ms, seek {seek:.1?} ms");
        for (all, one) in figures_ms.iter_mut().zip(frame.into_iter().chain(seek)) {
            all.push(one);
        }
    }
    let parts = [
        "first frame, first byte",
        "first frame, whole",
        "seek to the end, first byte",
        "seek to the end, whole",
    ];
    for (part, all) in parts.into_iter().zip(&mut figures_ms) {
        Row::new("first-frame", part).below(quantile(all, 0.5), 300.0, "ms");
    }
    Ok(())
}

/// Milliseconds to the first byte of the body and to its last.
fn timed(authority: &str, request: &str) -> Result<[f64; 2]> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(authority)?;
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
    let (mut head, mut first_ms) = (None, None);
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        answer.extend_from_slice(&chunk[..read]);
        head = head.or_else(|| answer.windows(4).position(|end| end == b"\r\n\r\n"));
        if first_ms.is_none() && head.is_some_and(|head| answer.len() > head + 4) {
            first_ms = Some(start.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let all_ms = start.elapsed().as_secs_f64() * 1000.0;
    let head = head.context("an answer has a head")?;
    let body_bytes = (answer.len() - head - 4) as u64;
    ensure!(
        answer.starts_with(b"HTTP/1.1 206") && body_bytes == RANGE_BYTES,
        "{body_bytes} bytes: {}",
        String::from_utf8_lossy(&answer[..head])
    );
    Ok([first_ms.context("a body")?, all_ms])
}
