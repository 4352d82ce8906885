// Answers `POST v2/tessera/devices`: opens one more device and gives it to a server that serves.
#pragma once

#include <string>

#include "apps/desk.h"
#include "apps/make_service.h"
#include "device/host/topology.h"
#include "runtime/service.h"

namespace tessera::apps {

// Thread-safe.
class DeviceDesk {
 public:
  // All outlive it. `open` has opened the devices that are there, and is called by nobody else meanwhile.
  DeviceDesk(runtime::Service& service, const OpenDevices& open, const device::HostTopology& topology, Bytes max_body)
      : service_(service), open_(open), topology_(topology), max_body_(max_body) {}

  // Replies when the device serves what the others serve, or with what failed: it cannot be opened or added, or the
  // first load on it. At once where another device is being added.
  void ask(const std::string& text, Desk::Reply reply);
  // As Desk's. What is loaded on a device ends when the service stops loading.
  bool stop(Duration limit) { return desk_.stop(limit); }

 private:
  Status add(const std::string& text);

  runtime::Service& service_;
  const OpenDevices& open_;
  const device::HostTopology& topology_;
  const Bytes max_body_;
  Desk desk_{"devices", "another device is being added; ask again soon"};  // last: its thread uses the above
};

}  // namespace tessera::apps
