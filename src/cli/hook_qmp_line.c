#include "cli/hook_qmp.h"

#include <stdio.h>
#include <string.h>

#include "cli/call.h"

/* The capability has QEMU tell how a migration goes; an older one refuses it, and that is fine. */
const char qmp_questions[] =
	"{\"execute\":\"qmp_capabilities\"}\n"
	"{\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":"
	"[{\"capability\":\"events\",\"state\":true}]}}\n"
	"{\"execute\":\"query-rx-filter\",\"id\":\"nics\"}\n";

static void take_nics(struct qmp_monitor *m, const json_t *list)
{
	const json_t *nic;
	size_t i;

	m->nic_count = 0;
	json_array_foreach (list, i, nic)
		if (m->nic_count < QMP_NICS_MAX &&
		    vmac_mac_parse(json_text(nic, "main-mac"), &m->nics[m->nic_count], NULL) == 0)
			m->nic_count++;
}

static enum qmp_said event_of(const json_t *said, char ret_status[static 32])
{
	static const struct {
		const char *event;
		enum qmp_said said;
	} events[] = {
		{ "STOP", QMP_STOPS },
		{ "SHUTDOWN", QMP_STOPS },
		{ "RESUME", QMP_RESUMES },
		{ "MIGRATION", QMP_MIGRATES },
	};

	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (strcmp(json_text(said, "event"), events[i].event) == 0) {
			snprintf(ret_status, 32, "%s",
				 json_text(json_object_get(said, "data"), "status"));
			return events[i].said;
		}
	return QMP_NOTHING;
}

static enum qmp_said line_of(struct qmp_monitor *m, char ret_status[static 32])
{
	JSON_AUTO said = json_loadb(m->line, m->len, 0, NULL);

	if (!json_is_object(said))
		return QMP_BROKEN;
	if (json_object_get(said, "QMP"))
		return QMP_GREETS;
	if (strcmp(json_text(said, "id"), "nics") == 0) {
		take_nics(m, json_object_get(said, "return"));
		return QMP_NICS;
	}
	return event_of(said, ret_status);
}

size_t qmp_take(struct qmp_monitor *m, const char *data, size_t len, enum qmp_said *ret_said,
		char ret_status[static 32])
{
	const char *end = memchr(data, '\n', len);
	size_t part = end ? (size_t)(end - data) : len, taken = end ? part + 1 : len;

	*ret_said = QMP_NOTHING;
	if (part > sizeof(m->line) - m->len) {
		*ret_said = QMP_BROKEN;
		return taken;
	}
	memcpy(m->line + m->len, data, part);
	m->len += part;
	if (!end)
		return taken;
	/* "\r\n", and an empty line between. */
	while (m->len > 0 && m->line[m->len - 1] == '\r')
		m->len--;
	if (m->len > 0)
		*ret_said = line_of(m, ret_status);
	m->len = 0;
	return taken;
}
