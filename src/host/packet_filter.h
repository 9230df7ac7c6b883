/* What a link's packet socket lets in. */
#pragma once

#define PROTOCOL_VRRP 112 /* and CARP */

/* Takes the place of the filter that was there, at once.  0 = nothing is wanted (PACKET_…): nothing
 * passes.  0 or -errno. */
int packet_filter_attach(int fd, unsigned int wanted);
