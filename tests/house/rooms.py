"""The table of rooms: who may include and link what.  docs/architecture.md says it in words ("The
staircase"); include_graph.py holds both against each other and the code against this."""

PURE = ("base", "mac", "wire", "model", "pool", "fhrp", "migrate", "fleet", "balance")

# What each room may include of the others, and link.
MAY_USE = {
    "base": (),
    "mac": ("base",),
    "wire": ("base", "mac"),
    "model": ("base", "mac"),
    "pool": ("base", "mac", "model"),
    "fhrp": ("base", "mac", "wire", "model"),
    "migrate": ("base", "mac", "model"),
    "fleet": ("base", "mac", "model", "migrate"),
    "balance": ("base", "mac", "wire", "model"),
    "host": ("base", "mac", "model"),
    "plane": ("base", "mac", "model"),
    "store": ("base", "mac", "model"),
    "errand": ("base", "mac", "model", "host"),
    "elect": ("base", "mac", "wire", "model", "fhrp", "host", "plane", "errand"),
    "anchor": ("base", "mac", "wire", "model", "balance", "host", "plane"),
    "engine": ("base", "mac", "wire", "model", "pool", "fhrp", "migrate", "fleet", "balance",
               "host", "plane", "store", "errand", "elect", "anchor"),
    "api": ("base", "mac", "model", "engine"),
    "lib": ("base", "include/vmac"),
    "cli": ("base", "mac", "wire", "model", "lib"),
    "daemon": ("base", "mac", "wire", "model", "pool", "fhrp", "migrate", "fleet", "balance",
               "host", "plane", "store", "errand", "elect", "anchor", "engine", "api", "lib"),
}

# Of these rooms others see these headers only; the rest of the room is its own.
CONTRACT = {
    "host": ("host/host.h", "host/virtual.h", "host/packet.h", "host/tunnel.h", "host/inject.h", "host/listen.h",
             "host/ether.h", "host/clock.h", "host/punctual.h"),
    "plane": ("plane/plane.h", "plane/router.h", "plane/cluster.h"),
    "store": ("store/store.h", "store/shared.h", "store/export.h"),
    "fleet": ("fleet/fleet.h",),
    "migrate": ("migrate/migrate.h",),
    "errand": ("errand/errands.h",),
    "elect": ("elect/elect.h",),
    "anchor": ("anchor/anchor.h",),
    "engine": ("engine/engine.h",),
    "api": ("api/api.h", "api/router_form.h"),
}

# Seen but not linked: its caller brings it (a test brings a false one).
HEADER_ONLY = {("api", "engine")}

# The room that stands behind each installed header, <vmac/…>.
INSTALLED = {
    "vmac/mac.h": "mac",
    "vmac/classify.h": "mac",
    "vmac/client.h": "lib",
}

# The one contract between the kernel side and user space, and who may see it.
KERNEL_CONTRACT = ("bpf/shared.h", "plane")

# Made by the build, so not to be found in the tree.
GENERATED = {"vmac.skel.h": "plane"}
