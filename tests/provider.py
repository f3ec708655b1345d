"""A real provider of OpenID Connect on this machine, Canaille, and a browser that signs in there."""

import itertools
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

RETURN_URL = "http://127.0.0.1:8000/sign-in/openid"
CLIENT, SECRET = "mandate", "a secret between mandate and the provider"
PASSWORD = "nine boats under a bridge"
"""The password of everybody whom the provider knows."""


class Provider:
    """The provider: whom it knows, and for which applications it answers."""

    def __init__(self, server: BaseWSGIServer, app: Any, issuer: str) -> None:
        self.server = server
        self.issuer = issuer
        self._app = app
        self._numbers = itertools.count(1)

    def add_person(self) -> str:
        """Let the provider know one Ana Quispe more, and return her name of sign-in.

        Each sign-in wants its own: what the provider makes for one person twice in a second is the same,
        and it refuses that.
        """
        login = f"ana{next(self._numbers)}"
        self._save(
            models.User(
                user_name=login,
                given_name="Ana",
                family_name="Quispe",
                formatted_name="Ana Quispe",
                emails=[f"{login}@example.org"],
                password=PASSWORD,
            )
        )
        return login

    def add_client(self, client_id: str, secret: str, return_url: str = RETURN_URL) -> None:
        """Let an application send people here, and back to its address of return."""
        client = models.Client(
            client_id=client_id,
            client_secret=secret,
            client_name=client_id,
            client_uri="http://127.0.0.1:8000",
            redirect_uris=[return_url],
            grant_types=["authorization_code"],
            response_types=["code"],
            token_endpoint_auth_method="client_secret_basic",
            scope=["openid", "email", "profile"],
        )
        self._save(client)
        client.audience = [client]
        self._save(client)

    def _save(self, thing: Any) -> None:
        with self._app.app_context():
            Backend.instance.save(thing)

    def rotate_keys(self) -> None:
        """Sign with another key from now on, and publish that one alone."""
        self._app.config["CANAILLE_OIDC"]["ACTIVE_JWKS"] = [_key()]


class Browser:
    """What a person does at the provider, from the address that we send them to, until it sends them back."""

    def __init__(self, return_url: str = RETURN_URL) -> None:
        self._return_url = return_url
        self._client = httpx2.Client(follow_redirects=False, timeout=20)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def sign_in(self, url: str, login: str, answer: str = "accept") -> dict[str, str]:
        """Follow ``url``, sign in, agree, and return the query of the address where one is sent back to."""
        page = self._follow(url)
        for typed in ({"login": login}, {"password": PASSWORD}, {"answer": answer}):
            if page.startswith(self._return_url):
                break
            page = self._follow(page, typed)
        assert page.startswith(self._return_url), page
        return dict(parse_qsl(urlsplit(page).query))

    def _follow(self, url: str, form: Mapping[str, str] | None = None) -> str:
        """Fetch a page, with every address that it sends on to, and return the address of the last."""
        response = self._client.post(url, data=dict(form)) if form else self._client.get(url)
        while response.is_redirect:
            url = urljoin(url, response.headers["location"])
            if url.startswith(self._return_url):
                return url
            response = self._client.get(url)
        response.raise_for_status()
        return url


@contextmanager
def running_provider(folder: Path) -> Iterator[Provider]:
    """Run the provider in a thread of its own, with its database in a folder."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # it has no certificate on this machine
    server = make_server("localhost", 0, _not_yet, threaded=True, request_handler=_Silent)
    issuer = f"http://localhost:{server.port}"
    app = create_app(
        config={
            "SECRET_KEY": "a secret of the provider's own",
            "SERVER_NAME": f"localhost:{server.port}",
            "PREFERRED_URL_SCHEME": "http",
            "WTF_CSRF_ENABLED": False,
            "CANAILLE": {
                "DATABASE": "sql",
                "JAVASCRIPT": False,
                "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}},
                "LOGGING": {"version": 1, "disable_existing_loggers": False},
            },
            # Not its memory, which mixes up two codes of one application.
            "CANAILLE_SQL": {"DATABASE_URI": f"sqlite:///{folder / 'provider.sqlite'}"},
            "CANAILLE_OIDC": {"ACTIVE_JWKS": [_key()], "TRUSTED_DOMAINS": []},
        }
    )
    server.app = app
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    provider = Provider(server, app, issuer)
    provider.add_client(CLIENT, SECRET)
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Silent(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of each request."""


def _not_yet(environ: Mapping[str, Any], start_response: Any) -> list[bytes]:
    start_response("503 Service Unavailable", [])
    return []


def _key() -> dict[str, Any]:
    key = RSAKey.generate_key(2048)
    key.ensure_kid()
    return dict(key.as_dict(private=True))
