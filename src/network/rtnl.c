/* rtnl.c - links, addresses and routes through rtnetlink(7) */
#include "network/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#define MESSAGE_MAX 1024

int rtnl_open(struct rtnl *rtnl)
{
    *rtnl = (struct rtnl){ .socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC) };
    if (!rtnl->socket)
        return -errno;
    if (mnl_socket_bind(rtnl->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        int r = -errno;
        rtnl_close(rtnl);
        return r;
    }
    rtnl->port = mnl_socket_get_portid(rtnl->socket);
    return 0;
}

void rtnl_close(struct rtnl *rtnl)
{
    if (rtnl->socket)
        (void) mnl_socket_close(rtnl->socket);
    rtnl->socket = NULL;
}

static struct nlmsghdr *message(struct rtnl *rtnl, void *buf, unsigned type, unsigned flags)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

    nlh->nlmsg_type = (uint16_t) type;
    nlh->nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags);
    nlh->nlmsg_seq = ++rtnl->seq;
    return nlh;
}

/* Send NLH and read answers to their end through CALLBACK (may be NULL). */
static int talk(struct rtnl *rtnl, struct nlmsghdr *nlh, mnl_cb_t callback, void *userdata)
{
    _Alignas(struct nlmsghdr) char buf[8192];
    unsigned seq = nlh->nlmsg_seq;
    int r = 1;

    if (mnl_socket_sendto(rtnl->socket, nlh, nlh->nlmsg_len) < 0)
        return -errno;
    while (r > MNL_CB_STOP) {
        ssize_t n = mnl_socket_recvfrom(rtnl->socket, buf, sizeof buf);
        if (n < 0)
            return -errno;
        r = mnl_cb_run(buf, (size_t) n, seq, rtnl->port, callback, userdata);
    }
    return r < 0 ? -errno : 0;
}

static int link_message(struct rtnl *rtnl, struct nlmsghdr *nlh)
{
    nlh->nlmsg_flags |= NLM_F_ACK;
    return talk(rtnl, nlh, NULL, NULL);
}

static struct ifinfomsg *put_link(struct nlmsghdr *nlh, bool up)
{
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);

    info->ifi_family = AF_UNSPEC;
    info->ifi_flags = up ? IFF_UP : 0;
    info->ifi_change = up ? IFF_UP : 0;
    return info;
}

int rtnl_bridge_add(struct rtnl *rtnl, const char *name, const uint8_t mac[static 6])
{
    _Alignas(struct nlmsghdr) char buf[MESSAGE_MAX];
    struct nlmsghdr *nlh = message(rtnl, buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

    (void) put_link(nlh, true);
    mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
    mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
    struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    mnl_attr_put_str(nlh, IFLA_INFO_KIND, "bridge");
    mnl_attr_nest_end(nlh, info);
    return link_message(rtnl, nlh);
}

static void put_peer(struct nlmsghdr *nlh, const struct veth *veth)
{
    struct nlattr *peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);

    (void) put_link(nlh, false); /* the kernel refuses to raise it before both ends exist */
    mnl_attr_put_strz(nlh, IFLA_IFNAME, veth->peer_name);
    mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t) veth->peer_netns);
    if (veth->peer_mac)
        mnl_attr_put(nlh, IFLA_ADDRESS, 6, veth->peer_mac);
    if (veth->mtu)
        mnl_attr_put_u32(nlh, IFLA_MTU, veth->mtu);
    mnl_attr_nest_end(nlh, peer);
}

int rtnl_veth_add(struct rtnl *rtnl, const struct veth *veth)
{
    _Alignas(struct nlmsghdr) char buf[MESSAGE_MAX];
    struct nlmsghdr *nlh = message(rtnl, buf, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);

    (void) put_link(nlh, veth->up);
    mnl_attr_put_strz(nlh, IFLA_IFNAME, veth->name);
    if (veth->master)
        mnl_attr_put_u32(nlh, IFLA_MASTER, veth->master);
    if (veth->mtu)
        mnl_attr_put_u32(nlh, IFLA_MTU, veth->mtu);
    struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
    mnl_attr_put_str(nlh, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
    put_peer(nlh, veth);
    mnl_attr_nest_end(nlh, data);
    mnl_attr_nest_end(nlh, info);
    return link_message(rtnl, nlh);
}

static int take_index(const struct nlmsghdr *nlh, void *userdata)
{
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

    *(int *) userdata = info->ifi_index;
    return MNL_CB_OK;
}

int rtnl_link_index(struct rtnl *rtnl, const char *name)
{
    _Alignas(struct nlmsghdr) char buf[MESSAGE_MAX];
    struct nlmsghdr *nlh = message(rtnl, buf, RTM_GETLINK, NLM_F_ACK);
    int index = -ENODEV;

    (void) put_link(nlh, false);
    mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
    int r = talk(rtnl, nlh, take_index, &index);
    return r < 0 ? r : index;
}

int rtnl_link_up(struct rtnl *rtnl, unsigned index)
{
    _Alignas(struct nlmsghdr) char buf[MESSAGE_MAX];
    struct nlmsghdr *nlh = message(rtnl, buf, RTM_NEWLINK, 0);

    put_link(nlh, true)->ifi_index = (int) index;
    return link_message(rtnl, nlh);
}

int rtnl_link_delete(struct rtnl *rtnl, const char *name)
{
    _Alignas(struct nlmsghdr) char buf[MESSAGE_MAX];
    struct nlmsghdr *nlh = message(rtnl, buf, RTM_DELLINK, 0);

    (void) put_link(nlh, false);
    mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
    int r = link_message(rtnl, nlh);
    return r == -ENODEV ? 0 : r;
}

int rtnl_address_add(struct rtnl *rtnl, unsigned index, uint32_t address, unsigned prefix)
{
    _Alignas(struct nlmsghdr) char buf[MESSAGE_MAX];
    struct nlmsghdr *nlh = message(rtnl, buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);

    *info = (struct ifaddrmsg){ .ifa_family = AF_INET,
                                .ifa_prefixlen = (uint8_t) prefix,
                                .ifa_index = index };
    mnl_attr_put_u32(nlh, IFA_LOCAL, htonl(address));
    mnl_attr_put_u32(nlh, IFA_ADDRESS, htonl(address));
    return link_message(rtnl, nlh);
}

int rtnl_default_route_add(struct rtnl *rtnl, unsigned index, uint32_t gateway)
{
    _Alignas(struct nlmsghdr) char buf[MESSAGE_MAX];
    struct nlmsghdr *nlh = message(rtnl, buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    struct rtmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);

    *info = (struct rtmsg){ .rtm_family = AF_INET,
                            .rtm_table = RT_TABLE_MAIN,
                            .rtm_protocol = RTPROT_STATIC,
                            .rtm_scope = RT_SCOPE_UNIVERSE,
                            .rtm_type = RTN_UNICAST };
    mnl_attr_put_u32(nlh, RTA_GATEWAY, htonl(gateway));
    mnl_attr_put_u32(nlh, RTA_OIF, index);
    return link_message(rtnl, nlh);
}

struct numbered {
    const char *prefix;
    numbers *ret;
};

static int take_name(const struct nlattr *attr, void *userdata)
{
    if (mnl_attr_get_type(attr) == IFLA_IFNAME)
        *(const char **) userdata = mnl_attr_get_str(attr);
    return MNL_CB_OK;
}

static int take_number(const struct nlmsghdr *nlh, void *userdata)
{
    const struct numbered *want = userdata;
    const char *name = "";
    long long number;

    (void) mnl_attr_parse(nlh, sizeof(struct ifinfomsg), take_name, &name);
    if (str_starts(name, want->prefix) &&
        str_to_i64(name + strlen(want->prefix), 0, INT32_MAX, &number) == 0)
        vec_push(want->ret, (unsigned) number);
    return MNL_CB_OK;
}

int rtnl_numbered(struct rtnl *rtnl, const char *prefix, numbers *ret)
{
    _Alignas(struct nlmsghdr) char buf[MESSAGE_MAX];
    struct nlmsghdr *nlh = message(rtnl, buf, RTM_GETLINK, NLM_F_DUMP);
    struct numbered want = { prefix, ret };

    (void) put_link(nlh, false);
    return talk(rtnl, nlh, take_number, &want);
}
