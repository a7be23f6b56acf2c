"""A mail server for the tests: real SMTP with TLS, and each mail read back the way a mail client reads it.

Prints one JSON line a port when it listens, then one a mail.
"""
import email, email.policy, json, ssl, sys, time
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, SMTP

cert, key = sys.argv[1], sys.argv[2]


def say(**what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self, name):
        self.name = name

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say(
            mail=self.name, encrypted=server.transport.get_extra_info("ssl_object") is not None or server.transport.get_extra_info("sslcontext") is not None, sender=envelope.mail_from, to=envelope.rcpt_tos,
            headers={k.lower(): str(v) for k, v in mail.items()}, names=[k.lower() for k in mail.keys()],
            type=mail.get_content_type(), multipart=mail.is_multipart(), body=mail.get_content(), defects=[str(d) for d in mail.defects],
        )
        return "250 2.0.0 taken as 4711"


def password(server, session, envelope, mechanism, data):
    return AuthResult(success=data.login == b"watch" and data.password == b"floor")


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
wrapped = Controller(Handler("tls"), hostname="127.0.0.1", port=0, ssl_context=context, authenticator=password, auth_required=True, auth_require_tls=False)
starttls = Controller(Handler("starttls"), hostname="127.0.0.1", port=0, tls_context=context, require_starttls=True)
plain = Controller(Handler("plain"), hostname="127.0.0.1", port=0)
for name, server in (("tls", wrapped), ("starttls", starttls), ("plain", plain)):
    # Port 0 cannot be probed by the library's own readiness check, so a free one is taken first.
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        server.port = s.getsockname()[1]
    server.start()
    say(listens=name, port=server.port)
while True:
    time.sleep(1)
