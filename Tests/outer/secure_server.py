"""An HTTPS server in the tests' own process, which a cluster reaches as a Service: webhooks, conversion, extension API servers."""
import base64
import http.server
import json
import socket
import socketserver
import ssl
import subprocess
import threading


def host_address():
    """An address of this host that endpoints may have: not a loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        # Nothing is sent: this asks which address a packet would go out with.
        s.connect(("192.0.2.1", 9))
        return s.getsockname()[0]


class JSONHandler(http.server.BaseHTTPRequestHandler):
    """Answers with JSON on connections that are kept alive."""
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections.append(self.connection)

    def log_message(self, *_):
        pass

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def answer(self, status, object):
        body = json.dumps(object).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingTCPServer):
    """http.server's own asks the name service for its name, which takes long where there is none."""
    daemon_threads = True

    def __init__(self, address, handler):
        super().__init__(address, handler)
        self.connections = []


class SecureServer:
    """A running server with a certificate of its own for the Service NAME in NAMESPACE. With an authority, only clients that it signed are let in."""

    def __init__(self, handler, directory, namespace, name, authority=None):
        self.namespace, self.name = namespace, name
        self.address = host_address()
        certificate, key = directory / f"{name}.cert.pem", directory / f"{name}.key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", f"/CN={name}",
             "-addext", f"subjectAltName=DNS:{name}.{namespace}.svc,IP:{self.address}", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        self.bundle = base64.b64encode(certificate.read_bytes()).decode()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if authority:
            context.load_verify_locations(cadata=authority)
            context.verify_mode = ssl.CERT_REQUIRED
        self.server = Server((self.address, 0), handler)
        self.port = self.server.server_address[1]
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.stopped = False
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def objects(self, port=443):
        """The Service and the slice with its one endpoint."""
        return [
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name, "namespace": self.namespace}, "spec": {"ports": [{"port": port}]}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
             "metadata": {"name": f"{self.name}-1", "namespace": self.namespace, "labels": {"kubernetes.io/service-name": self.name}},
             "ports": [{"name": "", "port": self.port, "protocol": "TCP"}], "endpoints": [{"addresses": [self.address], "conditions": {"ready": True}}]}]

    def client_config(self, path, port=443, bundle=True):
        """How a webhook configuration or a conversion names it."""
        service = {"namespace": self.namespace, "name": self.name, "path": path, "port": port}
        return {"service": service, "caBundle": self.bundle} if bundle else {"service": service}

    def stop(self):
        if self.stopped:
            return
        self.stopped = True
        self.server.shutdown()
        self.server.server_close()
        # Connections that are kept alive outlive their server otherwise.
        for connection in self.server.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It has ended by itself.
