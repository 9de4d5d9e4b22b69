package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestCaddyModules checks that this binary has what people put around the gate:
// each directive below belongs to one of the packages in modules.go.
func TestCaddyModules(t *testing.T) {
	config := `{
	storage file_system ` + t.TempDir() + `
	metrics
	log {
		output file ` + t.TempDir() + `/access.log
		format json
	}
	servers {
		listener_wrappers {
			proxy_protocol
			tls
		}
	}
}
localhost {
	tls internal
	encode zstd gzip
	header X-Frame-Options DENY
	log_skip /healthz
	request_body {
		max_size 1MB
	}
	basic_auth /metrics {
		ops $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	metrics /metrics
	map {path} {part} {
		/mcp gate
		default other
	}
	@inside remote_ip private_ranges
	respond @inside /healthz 200
	rewrite /old /mcp
	redir /docs https://example.com
	forward_auth /internal 127.0.0.1:9002 {
		uri /check
	}
	intercept {
		@failed status 500
		handle_response @failed {
			respond 502
		}
	}
	tracing
	handle /mcp* {
		tallygate
		reverse_proxy 127.0.0.1:9001 {
			health_uri /healthz
			lb_policy least_conn
		}
	}
	handle_errors {
		respond {err.status_code}
	}
}
mcp.example.com {
	tls ops@example.com
	tallygate_admin
}
`
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Error(w)
		}
	}
	var parsed caddy.Config
	if err := json.Unmarshal(adapted, &parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&parsed); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"tls.issuance.acme", "tls.issuance.zerossl", "tls.issuance.internal", "tls.stek.standard", "caddy.storage.file_system", "caddy.logging.encoders.json"} {
		if _, err := caddy.GetModule(id); err != nil {
			t.Error(err)
		}
	}
}
