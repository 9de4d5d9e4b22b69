package mcp

import (
	"errors"
	"testing"
)

func TestCheckContent(t *testing.T) {
	for _, tt := range []struct {
		name               string
		contentType, coded []string
		status             int // 0: accepted
	}{
		{"plain", []string{"application/json"}, nil, 0},
		{"letter case", []string{"Application/JSON"}, nil, 0},
		{"charset", []string{"application/json; charset=utf-8"}, nil, 0},
		{"charset in capitals", []string{"application/json;CHARSET=UTF-8"}, nil, 0},
		{"charset quoted", []string{`application/json; charset="utf-8"`}, nil, 0},
		{"charset without dash", []string{"application/json; charset=utf8"}, nil, 0},
		{"identity", []string{"application/json"}, []string{"identity"}, 0},

		{"gzip", []string{"application/json"}, []string{"gzip"}, 400},
		{"br", []string{"application/json"}, []string{"br"}, 400},
		{"a list", []string{"application/json"}, []string{"identity, gzip"}, 400},
		{"two codings", []string{"application/json"}, []string{"identity", "gzip"}, 400},
		{"an empty coding", []string{"application/json"}, []string{""}, 400},
		{"utf-7", []string{"application/json; charset=utf-7"}, nil, 400},
		{"utf-16", []string{"application/json; charset=utf-16le"}, nil, 400},
		{"latin-1", []string{"application/json; charset=iso-8859-1"}, nil, 400},
		{"empty charset", []string{`application/json; charset=""`}, nil, 400},
		{"charset of another sort", []string{"application/json; charset*=us-ascii''utf-7"}, nil, 400},
		{"charset in parts", []string{"application/json; charset*0=utf; charset*1=-7"}, nil, 400},
		{"charset twice", []string{"application/json; charset=utf-8; charset=utf-7"}, nil, 400},
		{"charset twice, letter case", []string{"application/json; charset=utf-8; Charset=utf-7"}, nil, 400},
		{"charset within a parameter", []string{`application/json; a="; charset=utf-7"; charset=utf-8`}, nil, 400},
		{"another parameter", []string{"application/json; boundary=x"}, nil, 400},
		{"two types", []string{"application/json", "application/json"}, nil, 400},
		{"a list of types", []string{"application/json, text/plain"}, nil, 400},
		{"no media type", []string{"application"}, nil, 415},
		{"nonsense", []string{";;"}, nil, 400},
		{"none", nil, nil, 415},
		{"text", []string{"text/plain"}, nil, 415},
		{"form", []string{"application/x-www-form-urlencoded"}, nil, 415},
		{"almost", []string{"application/json-rpc"}, nil, 415},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckContent(tt.contentType, tt.coded)
			var e *ContentError
			switch {
			case tt.status == 0 && err != nil:
				t.Error(err)
			case tt.status == 0:
			case !errors.As(err, &e):
				t.Errorf("err = %v", err)
			case e.Status != tt.status || err.Error() == "":
				t.Errorf("got %d, %q", e.Status, err)
			}
		})
	}
}
