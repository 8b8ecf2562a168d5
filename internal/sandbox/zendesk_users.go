package sandbox

import (
	"encoding/json"
	"net/http"
	"strconv"

	"bellhop"
)

type zdRequester struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// requester finds or makes the requester of a new ticket: by id, by the inline
// e-mail, or whoever asks.
func (b *zendeskBackend) requester(f *zdTicketFields, agent string) (*User, *answer) {
	switch {
	case f.RequesterID != 0:
		u, ok := b.byUserID[f.RequesterID]
		if !ok {
			return nil, zdInvalid("requester", "Requester: is invalid", "InvalidValue")
		}
		return u, nil
	case f.Requester == nil:
		if u, ok := b.byEmail[agent]; ok {
			return u, nil
		}
		return b.addUser(agent, agent, ""), nil
	}
	if f.Requester.Email == "" {
		if f.Requester.Name == "" {
			return nil, zdInvalid("requester", "Requester Name: is too short (is 0 characters)", "TooShort")
		}
		return b.addUser(f.Requester.Name, "", ""), nil // a user without e-mail is a new one each time
	}
	email, ok := bellhop.NormalizeEmail(f.Requester.Email)
	if !ok {
		return nil, zdInvalid("requester", "Requester Email: "+f.Requester.Email+" is not properly formatted", "InvalidFormat")
	}
	if u, ok := b.byEmail[email]; ok {
		return u, nil
	}
	if f.Requester.Name == "" {
		return nil, zdInvalid("requester", "Requester Name: is too short (is 0 characters)", "TooShort")
	}
	return b.addUser(f.Requester.Name, email, ""), nil
}

func (b *zendeskBackend) addUser(name, email, externalID string) *User {
	u := &User{ID: b.ids.number(), Name: name, Email: email, ExternalID: externalID, Writes: 1}
	b.users = append(b.users, u)
	b.byUserID[u.ID] = u
	if email != "" {
		b.byEmail[email] = u
	}
	if externalID != "" {
		b.byUserExt[externalID] = u
	}
	return u
}

func (b *zendeskBackend) routeUsers(r *request, segs []string, agent string) answer {
	switch {
	case r.method == http.MethodPost && len(segs) == 1 && segs[0] == "create_or_update":
		return b.createOrUpdateUser(r)
	case r.method == http.MethodGet && len(segs) == 1 && segs[0] == "me":
		return jsonAnswer(http.StatusOK, map[string]any{"user": map[string]any{"id": 1, "name": "Sandbox agent",
			"email": agent, "role": "admin", "active": true}})
	case r.method == http.MethodGet && len(segs) == 1:
		id, err := strconv.ParseInt(segs[0], 10, 64)
		u, ok := b.byUserID[id]
		if err != nil || !ok {
			return zdNotFound()
		}
		return jsonAnswer(http.StatusOK, map[string]any{"user": u.view(r)})
	default:
		return zdNotFound()
	}
}

// createOrUpdateUser matches by external id, then by e-mail: 200 for a known user,
// 201 for a new one.
func (b *zendeskBackend) createOrUpdateUser(r *request) answer {
	var in struct {
		User *struct {
			Name       string `json:"name"`
			Email      string `json:"email"`
			ExternalID string `json:"external_id"`
		} `json:"user"`
	}
	if err := json.Unmarshal(r.body, &in); err != nil {
		return zdBadJSON()
	}
	if in.User == nil {
		return zdError(http.StatusBadRequest, "InvalidValue", "Parameter user is required")
	}
	email := ""
	if in.User.Email != "" {
		e, ok := bellhop.NormalizeEmail(in.User.Email)
		if !ok {
			return *zdInvalid("email", "Email: "+in.User.Email+" is not properly formatted", "InvalidFormat")
		}
		email = e
	}
	u, ok := b.byUserExt[in.User.ExternalID]
	if !ok && email != "" {
		u, ok = b.byEmail[email]
	}
	if !ok {
		if in.User.Name == "" {
			return *zdInvalid("name", "Name: is too short (is 0 characters)", "TooShort")
		}
		u = b.addUser(in.User.Name, email, in.User.ExternalID)
		return jsonAnswer(http.StatusCreated, map[string]any{"user": u.view(r)})
	}
	u.Name = or(in.User.Name, u.Name)
	if email != "" && b.byEmail[email] == nil {
		delete(b.byEmail, u.Email)
		u.Email, b.byEmail[email] = email, u
	}
	if in.User.ExternalID != "" {
		u.ExternalID, b.byUserExt[in.User.ExternalID] = in.User.ExternalID, u
	}
	u.Writes++
	return jsonAnswer(http.StatusOK, map[string]any{"user": u.view(r)})
}

func (u *User) view(r *request) map[string]any {
	return map[string]any{"id": u.ID, "url": r.root + "/api/v2/users/" + strconv.FormatInt(u.ID, 10) + ".json",
		"name": u.Name, "email": null(u.Email), "external_id": null(u.ExternalID), "role": "end-user", "active": true,
		"verified": false, "suspended": false}
}
