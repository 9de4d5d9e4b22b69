package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// nginx, as a reverse proxy with a list of keys.
func nginx() gateway {
	return gateway{
		name:    "nginx" + debianVersion("nginx") + ", key map",
		path:    "/mcp",
		prepare: func(cache string) error { return unpack(cache, "nginx") },
		start:   startNginx,
		note:    "knows nothing of MCP, records nothing; its map compares keys without regard to case",
	}
}

// nginxConfig has the folder, the port, the key and the upstream. Without
// buffering an event passes at once; the buffer that is left is one read of
// the upstream's answer.
const nginxConfig = `
daemon off;
user root;
worker_processes 1;
pid %[1]s/pid;
error_log stderr error;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_max_body_size 4m;
	client_body_buffer_size 64k;
	keepalive_requests 1000000000;
	keepalive_timeout 1h;
	map_hash_bucket_size 256;
	map $http_authorization $caller {
		default "";
		"Bearer %[3]s" caller;
	}
	upstream mcp {
		server %[4]s;
		keepalive 1024;
		keepalive_requests 1000000000;
		keepalive_timeout 1h;
	}
	server {
		listen 127.0.0.1:%[2]d backlog=4096;
		location = /mcp {
			if ($caller = "") { return 401; }
			proxy_pass http://mcp;
			proxy_http_version 1.1;
			proxy_set_header Host %[4]s;
			proxy_set_header Connection "";
			proxy_set_header Authorization "";
			proxy_buffering off;
			proxy_buffer_size 64k;
			proxy_buffers 4 64k;
			proxy_read_timeout 1h;
		}
	}
}
`

func startNginx(d deployment) (*service, error) {
	config, err := configure(d, "nginx.conf", nginxConfig, d.dir, d.port, d.key, d.upstream)
	if err != nil {
		return nil, err
	}
	program, env := debianProgram(d.cache, "nginx")
	return startService(d.dir, env, program, "-e", "stderr", "-p", d.dir, "-c", config)
}

// haproxy, as a reverse proxy with a map file of keys.
func haproxy() gateway {
	return gateway{
		name:    "HAProxy" + debianVersion("haproxy") + ", key map",
		path:    "/mcp",
		prepare: func(cache string) error { return unpack(cache, "haproxy") },
		start:   startHAProxy,
		note:    "knows nothing of MCP, records nothing",
	}
}

// haproxyConfig has the port and the upstream; the map file is in the folder that
// HAProxy runs in. No-delay: an event
// passes at once, as in the others.
const haproxyConfig = `
global
	nbthread 1
	maxconn 4096
	tune.bufsize 65536
defaults
	mode http
	http-reuse always
	option http-no-delay
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout http-keep-alive 1h
frontend callers
	bind 127.0.0.1:%[1]d backlog 4096
	http-request deny deny_status 404 unless { path /mcp }
	http-request deny deny_status 401 unless { http_auth_bearer,map_str(keys.map) -m found }
	http-request del-header Authorization
	http-request set-header Host %[2]s
	default_backend mcp
backend mcp
	server upstream %[2]s pool-max-conn -1 pool-purge-delay 1h
`

func startHAProxy(d deployment) (*service, error) {
	if _, err := configure(d, "keys.map", "%s caller\n", d.key); err != nil {
		return nil, err
	}
	config, err := configure(d, "haproxy.cfg", haproxyConfig, d.port, d.upstream)
	if err != nil {
		return nil, err
	}
	program, env := debianProgram(d.cache, "haproxy")
	return startService(d.dir, env, program, "-db", "-f", config)
}

// unpack gets a program out of Debian's packages into the cache, unless the
// system has it. It is not installed, as that would start its service.
func unpack(cache, program string) error {
	if _, err := exec.LookPath(systemPath(program)); err == nil {
		return nil
	}
	dir := filepath.Join(cache, program)
	return installOnce(dir, program, func() error {
		if os.Geteuid() == 0 { // nobody else may, and theirs may be new enough
			if err := runIn(dir, "apt-get", "update", "-q"); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(dir, "archives/partial"), 0o755); err != nil {
			return err
		}
		// With what it needs and the system lacks.
		if err := runIn(dir, "apt-get", "install", "-qy", "--no-install-recommends", "--download-only",
			"-o", "Debug::NoLocking=1", "-o", "Dir::Cache::archives="+filepath.Join(dir, "archives"), program); err != nil {
			return err
		}
		packages, err := filepath.Glob(filepath.Join(dir, "archives/*.deb"))
		if err != nil {
			return err
		}
		for _, file := range packages {
			if err := runIn(dir, "dpkg-deb", "-x", file, dir); err != nil {
				return err
			}
		}
		return nil
	})
}

// debianProgram is the system's, or else the one in the cache with what makes
// it find its libraries.
func debianProgram(cache, program string) (path string, env []string) {
	if path, err := exec.LookPath(systemPath(program)); err == nil {
		return path, nil
	}
	dir := filepath.Join(cache, program)
	libraries, _ := filepath.Glob(filepath.Join(dir, "usr/lib/*-linux-gnu*")) // the pattern is right
	for _, folder := range libraries {
		env = append(env, "LD_LIBRARY_PATH="+folder)
	}
	return filepath.Join(dir, "usr/sbin", program), env
}

// systemPath is where Debian installs a server; few users have it in PATH.
func systemPath(program string) string { return filepath.Join("/usr/sbin", program) }

// versionLine is what tells the version in what apt knows of a package. An
// installed one comes first, before what could be installed.
var versionLine = regexp.MustCompile(`(?m)^  (?:Installed|Candidate): (?:\d+:)?([\d.]+)`)

// debianVersion is the version of a package, after a space; nothing where it is
// not known.
func debianVersion(name string) string {
	out, err := exec.Command("apt-cache", "policy", name).Output()
	if err != nil {
		return ""
	}
	found := versionLine.FindSubmatch(out)
	if found == nil {
		return ""
	}
	return fmt.Sprintf(" %s", found[1])
}
