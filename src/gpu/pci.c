/* pci.c - PCI addresses in the one form of the kernel */
#include "gpu/internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Seven digits are what fits into the 15 characters of an address; domains that exist have at most five. */
#define DOMAIN_MAX 0xfffffffUL

/* Moves *P past a number of at most DIGITS hexadecimal digits and AFTER; no sign, space or "0x". */
static bool take_hex(const char **p, unsigned digits, char after, unsigned long *ret)
{
    size_t n = strspn(*p, "0123456789abcdefABCDEF");

    if (n == 0 || n > digits || (*p)[n] != after)
        return false;
    *ret = strtoul(*p, NULL, 16);
    *p += n + 1;
    return true;
}

int pci_address_normalise(const char *text, char ret[static 16])
{
    unsigned long domain, bus, device, function;

    if (!take_hex(&text, 8, ':', &domain) || !take_hex(&text, 2, ':', &bus) ||
        !take_hex(&text, 2, '.', &device) || !take_hex(&text, 1, '\0', &function) ||
        domain > DOMAIN_MAX)
        return -EINVAL;
    (void) snprintf(ret, 16, "%04lx:%02lx:%02lx.%lx", domain, bus, device, function);
    return 0;
}
