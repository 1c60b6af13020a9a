/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The transport over libvirt's streams (virtio-serial). */

#include "host-agent/libvirt/virt.h"
#include "host-agent/sense/transport.h"

/* v must outlive the transport. */
Transport virt_transport(Virt *v);
