/* What becomes of a registry that is restored from a backup. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

void rig_backup(struct rig *rig, struct shared_record **ret)
{
	for (int i = 0; i < RIG_RECORDS; i++)
		ret[i] = rig->records[i] ? rig_copy(rig->records[i]) : NULL;
}

void rig_drop_backup(struct rig *rig, struct shared_record **backup)
{
	for (int i = 0; i < RIG_RECORDS; i++)
		free(backup[i]);
}

void rig_restore(struct rig *rig, struct shared_record **backup)
{
	struct shared_record *before[RIG_RECORDS];

	memcpy(before, rig->records, sizeof(before));
	memset(rig->epochs, 0, sizeof(rig->epochs));
	/* Restored members count on from where they were. */
	for (int i = 0; i < RIG_RECORDS; i++) {
		rig->records[i] = backup[i] ? rig_copy(backup[i]) : NULL;
		if (rig->records[i])
			rig->records[i]->revision = ++rig->revision;
	}
	for (unsigned int i = 0; i < rig->host_count; i++) {
		if (!rig->hosts[i].up || rig->hosts[i].cut)
			continue;
		rig_tell_all(rig, i);
	}
	rig_drop_backup(rig, before);
}
