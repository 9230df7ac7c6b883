#include "cli/hook_domain.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define QUEUES_MAX 256

/* How much of /domain/devices/interface the open elements are. */
enum level { LEVEL_NONE, LEVEL_DOMAIN, LEVEL_DEVICES, LEVEL_INTERFACE };

struct reading {
	XML_Parser parser;
	struct domain *domain;
	struct error *error;
	unsigned int depth, level;
	bool failed;
};

static void fail(struct reading *r)
{
	r->failed = true;
	XML_StopParser(r->parser, XML_FALSE);
}

static const char *attribute(const XML_Char **attributes, const char *name)
{
	for (; attributes[0]; attributes += 2)
		if (strcmp(attributes[0], name) == 0)
			return attributes[1];
	return "";
}

static void begin_nic(struct reading *r, const XML_Char **attributes)
{
	struct domain_nic *nic;

	if (r->domain->nic_count == DOMAIN_NICS_MAX) {
		error_set(r->error, ERROR_LIMIT_REACHED, NULL,
			  "the guest has more than %d interfaces", DOMAIN_NICS_MAX);
		fail(r);
		return;
	}
	nic = &r->domain->nics[r->domain->nic_count++];
	*nic = (struct domain_nic){ .ethernet = strcmp(attribute(attributes, "type"), "ethernet") ==
						0 };
}

static void of_nic(struct domain_nic *nic, const char *name, const XML_Char **attributes)
{
	if (strcmp(name, "mac") == 0) {
		nic->has_mac =
			vmac_mac_parse(attribute(attributes, "address"), &nic->mac, NULL) == 0;
	} else if (strcmp(name, "target") == 0) {
		const char *dev = attribute(attributes, "dev");

		/* A longer one is no interface of Linux: libvirt will say so. */
		if (strlen(dev) <= DOMAIN_DEV_MAX)
			snprintf(nic->dev, sizeof(nic->dev), "%s", dev);
		nic->unmanaged = strcmp(attribute(attributes, "managed"), "no") == 0;
	} else if (strcmp(name, "driver") == 0) {
		unsigned long n = strtoul(attribute(attributes, "queues"), NULL, 10);

		nic->queues = n <= QUEUES_MAX ? (unsigned int)n : 0;
	}
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	static const char *const path[] = { "domain", "devices", "interface" };
	struct reading *r = ctx;

	if (r->depth == DOMAIN_DEPTH_MAX) {
		error_set(r->error, ERROR_BAD_VALUE, NULL, "the guest's XML is nested too deep");
		fail(r);
		return;
	}
	if (r->level == r->depth && r->level < LEVEL_INTERFACE &&
	    strcmp(name, path[r->level]) == 0) {
		r->level++;
		if (r->level == LEVEL_INTERFACE)
			begin_nic(r, attributes);
	} else if (r->level == LEVEL_INTERFACE && r->depth == LEVEL_INTERFACE) {
		of_nic(&r->domain->nics[r->domain->nic_count - 1], name, attributes);
	}
	r->depth++;
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct reading *r = ctx;

	r->depth--;
	if (r->level > r->depth)
		r->level = r->depth;
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
			       const XML_Char *public, int internal)
{
	struct reading *r = ctx;

	error_set(r->error, ERROR_BAD_VALUE, "libvirt writes none",
		  "the guest's XML has a document type");
	fail(r);
}

int domain_parse(const char *xml, size_t len, struct domain *ret, struct error *ret_error)
{
	struct reading r = { .domain = ret, .error = ret_error };
	enum XML_Status status;

	ret->nic_count = 0;
	if (len > DOMAIN_XML_MAX)
		return error_set(ret_error, ERROR_BAD_VALUE, NULL,
				 "the guest's XML is longer than %u octets", DOMAIN_XML_MAX);
	r.parser = XML_ParserCreate("UTF-8");
	if (!r.parser)
		return error_set(ret_error, ERROR_NO_MEMORY, NULL, "out of memory");
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	status = XML_Parse(r.parser, xml, (int)len, 1);
	if (status != XML_STATUS_OK && !r.failed) {
		r.failed = true;
		error_set(ret_error, ERROR_BAD_VALUE,
			  "it is to be the guest's, as libvirt writes it",
			  "standard input is no XML: line %lu: %s",
			  (unsigned long)XML_GetCurrentLineNumber(r.parser),
			  XML_ErrorString(XML_GetErrorCode(r.parser)));
	}
	XML_ParserFree(r.parser);
	return r.failed ? -error_errno(ret_error->code) : 0;
}
