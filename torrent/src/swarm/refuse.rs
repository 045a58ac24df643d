//! Saying no to uTP where it is switched off.
//!
//! Clients that try uTP first, and are not answered, may wait forever: Transmission 3.00 was seen to
//! send one packet, and nothing after it. Refused, it opens TCP at once (and drops it again: it is
//! served by being dialled).

use std::{net::SocketAddr, time::Duration};

use tokio::{net::UdpSocket, time::sleep};

/// Bytes of a header (BEP 29).
const HEADER_BYTES: usize = 20;
/// Type and version of a packet that opens a connection, and of one that refuses it (BEP 29).
const SYN: u8 = 0x41;
const RESET: u8 = 0x31;
/// After a fault of the socket.
const BREATH: Duration = Duration::from_secs(1);

/// Refuses all that comes, until dropped. What can't be bound is left.
pub(super) async fn refuse_all(listen: SocketAddr) {
    let Ok(socket) = UdpSocket::bind(listen).await else {
        return;
    };
    let mut packet = [0; 64];
    loop {
        match socket.recv_from(&mut packet).await {
            Ok((length, from)) => {
                if let Some(no) = refusal(&packet[..length]) {
                    // one that is lost is asked for again
                    let _ = socket.send_to(&no, from).await;
                }
            }
            Err(_) => sleep(BREATH).await,
        }
    }
}

/// The answer to a packet that opens a connection; none to others.
fn refusal(packet: &[u8]) -> Option<[u8; HEADER_BYTES]> {
    if packet.len() < HEADER_BYTES || packet[0] != SYN {
        return None;
    }
    let mut no = [0; HEADER_BYTES];
    no[0] = RESET;
    no[2..4].copy_from_slice(&packet[2..4]);
    no[18..20].copy_from_slice(&packet[16..18]);
    Some(no)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_a_connection_is_refused() {
        let mut syn = [0; 30];
        (syn[0], syn[1], syn[2], syn[3], syn[17]) = (SYN, 2, 7, 8, 1);
        let mut no = [0; 20];
        (no[0], no[2], no[3], no[19]) = (RESET, 7, 8, 1);
        assert_eq!(refusal(&syn), Some(no));
        assert_eq!(refusal(&syn[..19]), None);
        syn[0] = 0x21;
        assert_eq!(refusal(&syn), None);
    }

    #[tokio::test]
    async fn the_port_says_no() {
        let place = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let listen = place.local_addr().unwrap();
        drop(place);
        let refusing = tokio::spawn(refuse_all(listen));
        let asking = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut syn = [0; 20];
        syn[0] = SYN;
        let mut answer = [0; 64];
        for _ in 0..100 {
            asking.send_to(&syn, listen).await.unwrap();
            let heard = asking.recv_from(&mut answer);
            if let Ok(Ok((length, _))) = tokio::time::timeout(BREATH, heard).await {
                assert_eq!((length, answer[0]), (HEADER_BYTES, RESET));
                refusing.abort();
                return;
            }
        }
        panic!("no answer");
    }
}
