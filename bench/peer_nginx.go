package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

// nginx is a plain reverse proxy with a list of keys.
func nginx() gateway {
	return gateway{
		name:    "nginx" + debianVersion("nginx") + ", key map",
		peer:    true,
		path:    "/mcp",
		prepare: func(cache string) error { return unpack(cache, "nginx") },
		start:   startNginx,
		note:    "does not read MCP and records nothing; its map compares keys regardless of letter case",
	}
}

// nginxConfig takes the folder, the port, the key and the upstream. Buffering is
// off so that an event passes at once; what is left is one read of the upstream's
// answer.
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

// unpack gets a program from Debian's packages into the cache, unless the system
// has it. It is not installed, because that would start its service.
func unpack(cache, program string) error {
	if _, err := exec.LookPath(systemPath(program)); err == nil {
		return nil
	}
	dir := filepath.Join(cache, program)
	return installOnce(dir, program, func() error {
		if os.Geteuid() == 0 { // only root may; otherwise the lists are used as they are
			if err := runIn(dir, "apt-get", "update", "-q"); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(dir, "archives/partial"), 0o755); err != nil {
			return err
		}
		// With the packages it depends on that the system lacks.
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

// debianProgram returns the path of the system's program, or of the one in the
// cache with the environment by which it finds its libraries.
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

// systemPath returns where Debian installs a server. Few users have it in PATH.
func systemPath(program string) string { return filepath.Join("/usr/sbin", program) }

// versionLine matches the version in apt's description of a package: first the
// installed one, then the one that could be installed.
var versionLine = regexp.MustCompile(`(?m)^  (?:Installed|Candidate): (?:\d+:)?([\d.]+)`)

// debianVersion returns a space and the version of a package, or "" if it is not
// known.
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
