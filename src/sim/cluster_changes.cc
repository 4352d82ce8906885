// Devices that come and go while a simulated cluster runs.
#include <algorithm>
#include <string>
#include <utility>

#include "sim/cluster.h"

namespace tessera::sim {

Status Cluster::check_changes() const {
  std::vector<bool> joins(options_.devices, false);
  std::vector<bool> lost(options_.devices, false);
  for (const DeviceChange& change : options_.changes) {
    const std::string name = "device " + std::to_string(change.device);
    if (change.device >= options_.devices) {
      return invalid_argument("there is no " + name + ", they count from 0 to " + std::to_string(options_.devices - 1));
    }
    auto& once = change.lost ? lost : joins;
    if (once[change.device]) {
      return invalid_argument(name + " is to " + (change.lost ? "be lost" : "join") + " twice");
    }
    once[change.device] = true;
  }
  for (const DeviceChange& a : options_.changes) {
    for (const DeviceChange& b : options_.changes) {
      if (a.device == b.device && a.lost && !b.lost && a.after <= b.after) {
        return invalid_argument("device " + std::to_string(a.device) + " is lost before it joins");
      }
    }
  }
  return ok_status();
}

void Cluster::change(const DeviceChange& change) {
  up_[change.device] = !change.lost;
  Node& node = nodes_[change.device / options_.devices_per_node];
  if (change.lost) {
    devices_[change.device]->lose();
    const std::uint32_t place = change.device - node.first_device;
    for (std::uint32_t tenant = 0; tenant < tenants_.size(); ++tenant) {
      std::erase_if(node.holders[tenant], [&](const Holder& holder) { return holder.place == place; });
      if (node.residences[tenant].erase(place) > 0 && options_.moved) {
        options_.moved({loop_.time(), tenant, change.device, false});
      }
    }
    move_requests(change.device);
    if (!lives(node)) {
      move_waiting(node);
    }
  }
  // A first load failed for want of memory at the start at the latest; now what finds none is not served.
  static_cast<void>(place_on(static_cast<std::uint32_t>(&node - nodes_.data())));
}

// What runs there fails; what waits goes elsewhere, as if it had just come with its first arrival.
void Cluster::move_requests(std::uint32_t device) {
  std::vector<std::uint32_t> there;
  for (std::uint32_t slot = 0; slot < requests_.size(); ++slot) {
    if (requests_[slot].serial != 0 && requests_[slot].device == device) {
      there.push_back(slot);
    }
  }
  std::sort(there.begin(), there.end(),
            [this](std::uint32_t a, std::uint32_t b) { return requests_[a].serial < requests_[b].serial; });
  for (const std::uint32_t slot : there) {
    --nodes_[requests_[slot].node].open;
    if (requests_[slot].launched || !send(slot)) {
      fail(slot);
    }
  }
}

}  // namespace tessera::sim
