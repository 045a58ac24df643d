//! nginx, the web server that reads are measured against.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::http::Client;
use crate::node::eventually;
use crate::stage::{ARRIVES, Stage};

/// nginx with Debian's defaults for static files: sendfile, as many workers as cores.
pub struct Nginx {
    child: Child,
    /// Where it is, without a slash at the end.
    pub url: String,
}

impl Nginx {
    /// Serves the folder; answers once `large.bin` in it can be read.
    pub fn start(stage: &Stage, folder: &Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let config = stage.path("nginx.conf");
        let scratch = stage.path("nginx");
        fs::create_dir_all(&scratch)?;
        fs::write(
            &config,
            format!(
                "worker_processes auto; pid {0}/pid; daemon off; error_log {0}/error.log;\n\
                 events {{ worker_connections 768; }}\n\
                 http {{ sendfile on; tcp_nopush on; access_log off; client_body_temp_path {0}/b; \
                 proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
                 server {{ listen 127.0.0.1:{port}; root {1}; }} }}\n",
                scratch.display(),
                folder.display()
            ),
        )?;
        let child = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()
            .context("nginx is missing; apt-get install nginx-light")?;
        let started = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        let client = Client::new(&started.url)?;
        eventually("nginx answers", ARRIVES, || {
            Ok(client.get_range("/large.bin", 0, 0).ok())
        })?;
        Ok(started)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // the master takes its workers along when asked, not when killed
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status();
        let _ = self.child.wait();
    }
}
