/* tls.h - the client's side of TLS behind a plain socket */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include "base/error.h"

/* Shakes hands as a client of HOST (name or address, without brackets) on the connected socket FD, which is
 * taken, and checks the certificate against the authorities of this machine (OpenSSL's: SSL_CERT_FILE and
 * SSL_CERT_DIR name others). Returns a socket to talk through in the clear, at whose other end a thread
 * encrypts until one of the sides closes; or a negative errno: -EPROTO where the certificate or the other
 * side is not as it must be, -ETIMEDOUT after TIMEOUT_MS without a byte. */
int tls_begin(int fd, const char *host, unsigned timeout_ms, struct error *err);

#endif
