/* box.h - what is sealed for one machine: libsodium's sealed boxes (X25519, XSalsa20-Poly1305)
 *
 * Whoever has a machine's public key can seal for it; only that machine opens. Who sealed is not shown.
 */
#ifndef ADMIN_BOX_H
#define ADMIN_BOX_H

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

#define BOX_KEY_TEXT 44 /* base64 of a public key */

/* A new pair of keys: the secret one into the file at PATH (root's, 0600), the public one into PUBLIC. */
int box_make(const char *path, char public[static BOX_KEY_TEXT + 1], struct error *err);
/* Is there a key at PATH that root made, and nobody else? */
bool box_is_there(const char *path);
/* BYTES for the owner of PUBLIC; base64, owned by the caller. */
int box_seal(const char *public, const void *bytes, size_t n, char **ret, struct error *err);
/* Open what was sealed for the key at PATH into RET, which the caller wipes. -EBADMSG: for another, or changed. */
int box_open(const char *path, const char *sealed, struct text *ret, struct error *err);

#endif
