/* seal.h - secrets at rest: libsodium's secretbox (XSalsa20-Poly1305) under a key of the state */
#ifndef MAIN_SEAL_H
#define MAIN_SEAL_H

#include "base/cleanup.h"
#include "base/error.h"
#include "lifecycle/lifecycle.h"

#include <stddef.h>
#include <stdint.h>

struct seal;

/* The key is STATE/secret.key (0600), made at the first start. Losing it loses the secrets, so it
 * belongs in every backup. */
int seal_open(const char *state, struct seal **ret, struct error *err);
void seal_free(struct seal *seal); /* wipes the key */
DEFINE_CLEANUP(struct seal *, seal_free);

/* Nonce and box together; owned by the caller. */
void seal_close(const struct seal *seal, const char *value, uint8_t **ret, size_t *ret_len);
/* -EBADMSG when the bytes were changed or sealed under another key. */
int seal_reveal(const struct seal *seal, const uint8_t *sealed, size_t len, char **ret);

/* The token of an attempt: a keyed hash (HMAC-SHA-512-256) of its id and epoch. */
void seal_token(const struct seal *seal, const struct id *attempt, unsigned epoch,
                char buf[static TASK_TOKEN_LEN + 1]);

#endif
