#!/usr/bin/env python3
"""Writes Tests/fixtures/jwt-cases.json: JSON web tokens, good and forged, with what the API server must make of each.

Needs joserfc. Keys are made anew at each run; the tests take them from the file.
"""
import base64, hashlib, hmac, json, random, sys
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey, OKPKey

NOW = 1_800_000_000
ISSUER = "https://oidc.example.com/id/CLUSTER"
PROVIDER = "https://login.example.com"
ALGS = ["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA", "HS256"]
random.seed(7)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header, claims, key, alg):
    registry = jws.JWSRegistry(algorithms=ALGS, strict_check_header=False)
    return jws.serialize_compact({"alg": alg, **header}, json.dumps(claims).encode(), key, registry=registry)


def raw(header, claims, signature=b""):
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}.{b64(signature)}"


account_key = ECKey.generate_key("P-256")
other_key = ECKey.generate_key("P-256")
der = account_key.public_key.public_bytes(
    __import__("cryptography.hazmat.primitives.serialization", fromlist=["x"]).Encoding.DER,
    __import__("cryptography.hazmat.primitives.serialization", fromlist=["x"]).PublicFormat.SubjectPublicKeyInfo)
kid = b64(hashlib.sha256(der).digest())
public_pem = account_key.as_pem(private=False)
provider_keys = {
    "rsa": RSAKey.generate_key(2048), "p256": ECKey.generate_key("P-256"), "p384": ECKey.generate_key("P-384"),
    "p521": ECKey.generate_key("P-521"), "ed": OKPKey.generate_key("Ed25519"),
}
outside = RSAKey.generate_key(2048)
cases = []


def case(name, kind, token, user=None, extra=None):
    cases.append({"name": name, "kind": kind, "token": token, **({"user": user} if user else {}), **({"extra": extra} if extra else {})})


# ---- service accounts -------------------------------------------------------------------------------------------------------------------
USER = "system:serviceaccount:web:app"


def base(bound="pod"):
    k8s = {"namespace": "web", "serviceaccount": {"name": "app", "uid": "sa-uid"}}
    if bound == "pod":
        k8s["pod"] = {"name": "app-1", "uid": "pod-uid"}
        k8s["node"] = {"name": "node-1", "uid": "node-uid"}
    if bound == "secret":
        k8s["secret"] = {"name": "bound", "uid": "secret-uid"}
    if bound == "node":
        k8s["node"] = {"name": "node-1", "uid": "node-uid"}
    return {"aud": [ISSUER], "exp": NOW + 3600, "iat": NOW - 10, "nbf": NOW - 10, "iss": ISSUER, "jti": "id-1", "sub": USER, "kubernetes.io": k8s}


def es(claims, header=None, key=None):
    return sign({"kid": kid, **(header or {})}, claims, key or account_key, "ES256")


def change(path, value, bound="pod"):
    claims = base(bound)
    at = claims
    for step in path[:-1]:
        at = at[step]
    if value is None:
        at.pop(path[-1], None)
    else:
        at[path[-1]] = value
    return claims


K = "kubernetes.io"
for bound in ["none", "pod", "secret", "node"]:
    case(f"bound to {bound}", "account", es(base(bound)), USER)
    for field in ["exp", "iss", "sub", K]:
        case(f"bound to {bound}, without {field}", "account", es(change([field], None, bound)))
    case(f"bound to {bound}, audience as a text", "account", es(change(["aud"], ISSUER, bound)), USER)
    case(f"bound to {bound}, one audience of several", "account", es(change(["aud"], ["other", ISSUER], bound)), USER)
    case(f"bound to {bound}, without jti", "account", es(change(["jti"], None, bound)), USER)
    for audience in [[], "", ["vault"], "vault", [ISSUER + "/"], [ISSUER.upper()], [[ISSUER]], {"a": ISSUER}, 7, True, [ISSUER + " "], "*"]:
        case(f"bound to {bound}, audience {audience!r}", "account", es(change(["aud"], audience, bound)))
    case(f"bound to {bound}, no audience", "account", es(change(["aud"], None, bound)))
    for age in [1, 60, 3600, 86400, 10**9]:
        case(f"bound to {bound}, expired {age} s ago", "account", es(change(["exp"], NOW - age, bound)))
    case(f"bound to {bound}, expires now", "account", es(change(["exp"], NOW, bound)))
    case(f"bound to {bound}, expires as a text", "account", es(change(["exp"], str(NOW + 60), bound)))
    for wait in [1, 60, 3600, 10**9]:
        case(f"bound to {bound}, not valid for {wait} s", "account", es(change(["nbf"], NOW + wait, bound)))
    for issuer in ["", "https://evil.example.com", ISSUER + "/", ISSUER.lower() + "x", "kubernetes/serviceaccount", PROVIDER, "https://oidc.example.com"]:
        case(f"bound to {bound}, issuer {issuer!r}", "account", es(change(["iss"], issuer, bound)))
    for subject in ["", "system:serviceaccount:web:other", "system:serviceaccount:kube-system:app", "system:admin", "app", "system:serviceaccount:web:app:", "system:node:node-1"]:
        case(f"bound to {bound}, subject {subject!r}", "account", es(change(["sub"], subject, bound)))
    case(f"bound to {bound}, another namespace", "account", es(change([K, "namespace"], "kube-system", bound)))
    case(f"bound to {bound}, no namespace", "account", es(change([K, "namespace"], None, bound)))
    case(f"bound to {bound}, account's uid reused", "account", es(change([K, "serviceaccount", "uid"], "old-uid", bound)))
    case(f"bound to {bound}, no uid of the account", "account", es(change([K, "serviceaccount", "uid"], None, bound)))
    gone = base(bound)
    gone["sub"] = "system:serviceaccount:web:gone"
    gone[K]["serviceaccount"] = {"name": "gone", "uid": "gone-uid"}
    case(f"bound to {bound}, account deleted", "account", es(gone))
    going = base(bound)
    going["sub"] = "system:serviceaccount:web:going"
    going[K]["serviceaccount"] = {"name": "going", "uid": "going-uid"}
    case(f"bound to {bound}, account long terminating", "account", es(going))
    # Signatures.
    good = es(base(bound))
    head, body, signature = good.split(".")
    case(f"bound to {bound}, algorithm none", "account", raw({"alg": "none", "kid": kid}, base(bound)))
    for spelled in ["None", "NONE", "nOnE", "", "es256", "ES256K", "HS256", "RS256", "ES384"]:
        case(f"bound to {bound}, header says {spelled!r}", "account", f"{b64(json.dumps({'alg': spelled, 'kid': kid}).encode())}.{body}.{signature}")
    for label, secret in [("PEM", public_pem), ("DER", der), ("point", der[-65:]), ("empty", b"")]:
        header = {"alg": "HS256", "kid": kid}
        signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(base(bound)).encode())}"
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        case(f"bound to {bound}, HS256 with the public key's {label}", "account", f"{signed}.{b64(mac)}")
    case(f"bound to {bound}, another key by our name", "account", es(base(bound), key=other_key))
    case(f"bound to {bound}, another key by its own name", "account", sign({"kid": "other"}, base(bound), other_key, "ES256"))
    case(f"bound to {bound}, no key named", "account", sign({}, base(bound), account_key, "ES256"))
    case(f"bound to {bound}, RSA by our name", "account", sign({"kid": kid}, base(bound), outside, "RS256"))
    case(f"bound to {bound}, key in the header", "account", sign({"kid": kid, "jwk": other_key.as_dict(private=False)}, base(bound), other_key, "ES256"))
    case(f"bound to {bound}, a critical extension", "account", raw({"alg": "ES256", "kid": kid, "crit": ["exp"]}, base(bound), b"\0" * 64))
    case(f"bound to {bound}, signature of zeros", "account", f"{head}.{body}.{b64(bytes(64))}")
    case(f"bound to {bound}, no signature", "account", f"{head}.{body}.")
    case(f"bound to {bound}, two parts", "account", f"{head}.{body}")
    case(f"bound to {bound}, four parts", "account", f"{good}.{signature}")
    case(f"bound to {bound}, five parts", "account", f"{head}..{body}.{signature}.x")
    case(f"bound to {bound}, padded", "account", f"{head}.{body}.{signature}=")
    tail = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = tail[tail.index(signature[-1]) ^ 1]
    case(f"bound to {bound}, leftover bits", "account", f"{head}.{body}.{signature[:-1]}{other}")
    tampered = base(bound)
    tampered["exp"] += 1
    case(f"bound to {bound}, claims changed", "account", f"{head}.{b64(json.dumps(tampered).encode())}.{signature}")
for field, old in [("pod", "pod-old"), ("secret", "secret-old"), ("node", "node-old")]:
    case(f"{field}'s uid reused", "account", es(change([K, field, "uid"], old, field)))
    case(f"{field} without uid", "account", es(change([K, field, "uid"], None, field)))
    case(f"{field} deleted", "account", es(change([K, field, "name"], "gone", field)))
    case(f"{field} long terminating", "account", es(change([K, field], {"name": "going", "uid": "going-uid"}, field)))
    case(f"{field} just terminating", "account", es(change([K, field], {"name": "leaving", "uid": "leaving-uid"}, field)), USER)
for junk in ["", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30", b64(b"[]") + "." + b64(b"[]") + ".", "\u00e9.b.c"]:
    case(f"no token: {junk!r}", "account", junk)
case("the node of a pod is not looked up", "account", es(change([K, "node", "uid"], "whatever")), USER)

# ---- OIDC -------------------------------------------------------------------------------------------------------------------------------
ME = PROVIDER + "#jane"


def person(**changes):
    claims = {"iss": PROVIDER, "aud": "eyrie", "sub": "jane", "exp": NOW + 600, "iat": NOW, "email": "jane@example.com", "groups": ["devs", "ops"],
              "tenant": "acme"}
    for key, value in changes.items():
        if value is None:
            claims.pop(key)
        else:
            claims[key] = value
    return claims


kinds = {"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa", "ES256": "p256", "ES384": "p384",
         "ES512": "p521", "EdDSA": "ed"}
for alg, key in kinds.items():
    token = sign({"kid": key}, person(), provider_keys[key], alg)
    case(f"OIDC {alg}, allowed", "oidc-all", token, ME)
    case(f"OIDC {alg} where RS256 is asked for", "oidc", token, ME if alg == "RS256" else None)
    head, body, signature = token.split(".")
    case(f"OIDC {alg}, claims changed", "oidc-all", f"{head}.{b64(json.dumps(person(sub='root')).encode())}.{signature}")
    case(f"OIDC {alg}, signature cut", "oidc-all", f"{head}.{body}.{signature[:-4]}")
    for other in kinds:
        if other != alg:
            forged = b64(json.dumps({"alg": other, "kid": key}).encode())
            case(f"OIDC {alg} said to be {other}", "oidc-all", f"{forged}.{body}.{signature}")


def rs(claims, header=None, key=None):
    return sign({"kid": "rsa", **(header or {})}, claims, key or provider_keys["rsa"], "RS256")


case("OIDC expired", "oidc", rs(person(exp=NOW - 1)))
case("OIDC without expiry", "oidc", rs(person(exp=None)))
case("OIDC not valid for an hour", "oidc", rs(person(nbf=NOW + 3600)))
case("OIDC not valid for a minute: clocks differ", "oidc", rs(person(nbf=NOW + 60)), ME)
case("OIDC another audience", "oidc", rs(person(aud="other")))
case("OIDC one audience of two", "oidc", rs(person(aud=["other", "eyrie"])), ME)
case("OIDC no audience", "oidc", rs(person(aud=None)))
case("OIDC empty audience", "oidc", rs(person(aud="")))
case("OIDC audience of another case", "oidc", rs(person(aud="EYRIE")))
case("OIDC another issuer", "oidc", rs(person(iss="https://evil.example.com")))
case("OIDC another key", "oidc", rs(person(), key=outside))
case("OIDC unknown key name", "oidc", rs(person(), {"kid": "unknown"}))
case("OIDC no key name", "oidc", sign({}, person(), provider_keys["rsa"], "RS256"), ME)
case("OIDC no subject", "oidc", rs(person(sub=None)))
case("OIDC empty subject", "oidc", rs(person(sub="")))
case("OIDC groups as a text", "oidc", rs(person(groups="devs")), ME)
case("OIDC groups as a number", "oidc", rs(person(groups=7)))
case("OIDC no groups", "oidc", rs(person(groups=None)), ME)
case("OIDC required claim missing", "oidc", rs(person(tenant=None)))
case("OIDC required claim another", "oidc", rs(person(tenant="evil")))
case("OIDC by email", "oidc-email", rs(person(email_verified=True)), "jane@example.com")
case("OIDC by email, nothing said of its verification", "oidc-email", rs(person()), "jane@example.com")
case("OIDC by email, not verified", "oidc-email", rs(person(email_verified=False)))
case("OIDC by email, none", "oidc-email", rs(person(email=None)))
case("OIDC alg none", "oidc", raw({"alg": "none"}, person()))
modulus = provider_keys["rsa"].as_pem(private=False)
signed = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'rsa'}).encode())}.{b64(json.dumps(person()).encode())}"
case("OIDC HS256 with the public key", "oidc-all", f"{signed}.{b64(hmac.new(modulus, signed.encode(), hashlib.sha256).digest())}")

jwks = {"keys": [{**key.as_dict(private=False), "kid": name, "use": "sig"} for name, key in provider_keys.items()]}
with open(sys.argv[1], "w") as out:
    json.dump({"now": NOW, "issuer": ISSUER, "provider": PROVIDER, "accountKeyPEM": account_key.as_pem(private=True).decode(), "jwks": jwks,
               "cases": cases}, out, indent=0)
print(len(cases))
