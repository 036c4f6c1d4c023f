package jwt

import (
	"fmt"

	"github.com/jotgate/jotgate/internal/claims"
	"github.com/jotgate/jotgate/internal/gate"
	"github.com/jotgate/jotgate/jose"
)

// identity says which claims tell who is calling. It is compiled from gate.IdentityClaims.
type identity struct {
	subject, client                       []claims.Name
	groups, email, tokenName, application claimName
	joined                                bool
}

// claimName is the name of a claim, or none.
type claimName struct {
	claims.Name
	set bool
}

func (n claimName) text(set *claims.Set) string {
	if !n.set {
		return ""
	}
	text, _ := set.Find(n.Name).AsString()
	return text
}

// identity reads the names of the claims that tell who is calling.
func (c *compiler) identity() {
	from, to := &c.from.Identity, &c.to.identity
	to.joined = from.JoinIssuers
	subject := from.Subject
	if len(subject) == 0 {
		subject = []string{"sub"}
	}
	to.subject = c.names("identity.subject", subject)
	to.client = c.names("identity.clientID", from.ClientID)
	for _, single := range []struct {
		path, text string
		to         *claimName
	}{
		{"identity.groups", from.Groups, &to.groups}, {"identity.email", from.Email, &to.email},
		{"identity.tokenName", from.TokenName, &to.tokenName}, {"identity.application", from.Application, &to.application},
	} {
		if single.text == "" {
			continue
		}
		name, err := claims.ParseName(single.text)
		if err != nil {
			c.problem(single.path, "", "%v", err)
		}
		*single.to = claimName{name, err == nil}
	}
}

func (c *compiler) names(path string, texts []string) []claims.Name {
	c.texts(path, texts)
	all := make([]claims.Name, 0, len(texts))
	for i, text := range texts {
		name, err := claims.ParseName(text)
		if err != nil {
			c.problem(fmt.Sprintf("%s[%d]", path, i), "", "%v", err)
			continue
		}
		all = append(all, name)
	}
	return all
}

// Identity is who has a token of the provider with this payload; nothing says that there is one. The error says why the payload cannot be read.
func (p *Provider) Identity(payload string) (*gate.Identity, error) {
	set, err := claims.Parse([]byte(payload), claims.DefaultLimits())
	if err != nil {
		return nil, err
	}
	var v verified
	proved := &proof{provider: p, key: new(jose.Key), claims: *set}
	if p.individual != nil {
		if proved.credential, err = p.individual.named(set); err != nil {
			return nil, err
		}
	}
	t := newToken(proved, &v)
	t.identity.KeyID, t.identity.Algorithm = "", ""
	return &t.identity, nil
}

// fill finds in the claims who is calling. A claim of another kind than text counts as absent.
func (n *identity) fill(id *gate.Identity) {
	set := id.Claims
	for _, name := range n.subject {
		if text, ok := set.Find(name).AsString(); ok {
			id.User = text // an empty one too: it was meant to be the user, so no other claim is
			break
		}
	}
	id.JoinsIssuers = n.joined
	for _, name := range n.client {
		if text, _ := set.Find(name).AsString(); text != "" {
			id.ClientID = text
			break
		}
	}
	id.Email, id.TokenName, id.Application = n.email.text(set), n.tokenName.text(set), n.application.text(set)
	if n.groups.set {
		id.Groups = texts(set.Find(n.groups.Name))
	}
}

// texts are a string, or the strings of an array, that are not empty.
func texts(v claims.Value) []string {
	if text, _ := v.AsString(); text != "" {
		return []string{text}
	}
	var all []string
	for e := range v.Elements() {
		if text, _ := e.AsString(); text != "" {
			all = append(all, text)
		}
	}
	return all
}
