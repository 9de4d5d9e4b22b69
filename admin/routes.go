package admin

// endpoints returns all routes of the API.
func (a *API) endpoints() []route {
	return []route{
		{method: "POST", path: "/api/auth/login", access: forAnyone, body: []string{"email", "password"}, do: a.login},
		{method: "POST", path: "/api/auth/register", access: forAnyone, body: []string{"email", "password"}, status: 201, do: a.register},
		{method: "POST", path: "/api/auth/accept-invite", access: forAnyone, body: []string{"token", "password"}, status: 201, do: a.acceptInvite},
		{method: "GET", path: "/api/auth/me", do: a.me},
		{method: "POST", path: "/api/auth/logout", do: a.logout},
		{method: "POST", path: "/api/auth/password", body: []string{"current_password", "new_password"}, do: a.changePassword},
		{method: "POST", path: "/api/auth/sessions/end", do: a.endOwnSessions},
		{method: "POST", path: "/api/auth/signing-key/rotate", access: forAdmins, body: []string{"retire"}, do: a.rotateSigningKey},

		{method: "POST", path: "/api/mcp-keys/create", once: true, body: append([]string{"key_name"}, keyFields...), status: 201, do: a.createKey},
		{method: "GET", path: "/api/mcp-keys/list", query: []string{"user"}, do: a.listKeys},
		{method: "POST", path: "/api/mcp-keys/update", body: append([]string{"key_id", "key_name"}, keyFields...), do: a.updateKey},
		{method: "POST", path: "/api/mcp-keys/revoke", body: []string{"key_id", "reason"}, do: a.revokeKey},
		{method: "POST", path: "/api/mcp-keys/rotate", body: []string{"key_id", "overlap_hours"}, status: 201, do: a.rotateKey},

		{method: "GET", path: "/api/mcp-usage/history", query: append([]string{"page", "page_size", "cursor"}, filterQuery...), do: a.history},
		{method: "GET", path: "/api/mcp-usage/export", query: append([]string{"format"}, filterQuery...), do: a.export},
		{method: "GET", path: "/api/mcp-usage/stats", query: statsQuery, do: a.stats},

		{method: "GET", path: "/api/users/list", access: forAdmins, do: a.listUsers},
		{method: "POST", path: "/api/users/create", access: forAdmins, body: []string{"email", "password", "role", "limits"}, status: 201, do: a.createUser},
		{method: "POST", path: "/api/users/disable", access: forAdmins, body: []string{"user_id"}, do: a.disableUser},
		{method: "POST", path: "/api/users/enable", access: forAdmins, body: []string{"user_id"}, do: a.enableUser},
		{method: "POST", path: "/api/users/role", access: forAdmins, body: []string{"user_id", "role"}, do: a.setRole},
		{method: "POST", path: "/api/users/limits", access: forAdmins, body: []string{"user_id", "limits"}, do: a.setUserLimits},
		{method: "POST", path: "/api/users/sessions/end", access: forAdmins, body: []string{"user_id"}, do: a.endUserSessions},
		{method: "POST", path: "/api/users/invite", access: forAdmins, body: []string{"email", "role", "limits", "expires_hours"}, status: 201, do: a.invite},
		{method: "GET", path: "/api/users/invites/list", access: forAdmins, do: a.listInvites},
		{method: "POST", path: "/api/users/invites/withdraw", access: forAdmins, body: []string{"invite_id"}, do: a.withdrawInvite},

		{method: "GET", path: "/api/audit", access: forAdmins, query: []string{"page_size", "cursor", "actor", "user", "target_id", "action", "from", "to"}, do: a.audit},

		{method: "GET", path: "/healthz", access: forAnyone, do: healthz},
		{method: "GET", path: "/readyz", access: forAnyone, do: a.readyz},
		{method: "GET", path: "/openapi.json", access: forAnyone, do: document},
	}
}
