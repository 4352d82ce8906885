// Which devices of a node hold which tenants: placed at the start and as devices come and go, or time and again where
// models may leave.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "sched/placer.h"
#include "sim/cluster.h"

namespace tessera::sim {
namespace {

constexpr std::size_t kMostWaiting = 1000;  // requests of a tenant on a node for whose model it has to load
constexpr double kOfLately = 0.5;           // what the last round says of a rate

}  // namespace

// Once: who may hold what does not change as devices come and go, lest models move that need not.
void Cluster::say_who_may_hold() {
  for (std::uint32_t tenant = 0; tenant < tenants_.size(); ++tenant) {
    for (const std::uint32_t node : tenants_[tenant].nodes) {
      nodes_[node].held.push_back(tenant);
    }
  }
  for (Node& node : nodes_) {
    std::vector<double> work;
    for (const std::uint32_t tenant : node.held) {
      work.push_back(models_[tenant].work / static_cast<double>(tenants_[tenant].nodes.size()));
    }
    const std::size_t devices = std::min(options_.devices_per_node, options_.devices - node.first_device);
    // Where models may leave for others, memory says how many devices hold each.
    node.allowed =
        evictable() ? std::vector<std::vector<bool>>(work.size()) : devices_for(work, tenants_.size(), devices);
  }
}

Status Cluster::place() {
  for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
    TESSERA_RETURN_IF_ERROR(place_on(node));
  }
  return ok_status();
}

std::vector<sched::PlacerDevice> Cluster::devices_of(const Node& node) const {
  const std::size_t count = std::min(options_.devices_per_node, options_.devices - node.first_device);
  std::vector<sched::PlacerDevice> devices(count);
  for (std::size_t i = 0; i < count; ++i) {
    devices[i].up = up_[node.first_device + i];
    if (profile_.memory.value > 0) {
      devices[i].memory = profile_.memory;
    }
  }
  return devices;
}

sched::PlacerModel Cluster::placer_model(const Node& node, std::uint32_t index, std::size_t devices) const {
  const Tenant& tenant = tenants_[index];
  sched::PlacerModel model;
  model.name = tenant.spec.spec.name;
  model.bytes = models_[index].profile->memory;
  model.rate = tenant.rate;
  model.loaded.resize(devices);
  for (const Holder& holder : node.holders[index]) {
    model.loaded[holder.place] = true;
  }
  if (!evictable() || devices_.empty()) {
    return model;
  }
  model.idle = loop_.time() - tenant.last_asked;
  model.residing.resize(devices);
  const auto& residences = node.residences[index];
  const bool one_loads =
      std::any_of(residences.begin(), residences.end(), [](const auto& residence) { return residence.second.loads; });
  for (const auto& [place, residence] : residences) {
    // While one loads nothing leaves: it does not serve yet, and the others are all there is.
    model.residing[place] = one_loads ? Duration{0} : loop_.time() - residence.since;
    model.loaded[place] = true;
  }
  model.evictable = !one_loads;
  model.wanted = !node.waiting[index].empty() || !node.residences[index].empty();
  return model;
}

// Asks the placer; at the start what it says is so at once, later it takes its time.
Status Cluster::place_on(std::uint32_t number) {
  Node& node = nodes_[number];
  const auto devices = devices_of(node);
  std::vector<sched::PlacerModel> wanted;
  for (std::size_t i = 0; i < node.held.size(); ++i) {
    wanted.push_back(placer_model(node, node.held[i], devices.size()));
    wanted.back().allowed = node.allowed[i];
  }
  const auto placement = sched::Placer().decide(devices, wanted);
  for (const sched::PlacerAction& action : placement.actions) {
    carry_out(node, node.held[action.model], action);
  }
  if (!placement.refused.empty() && !evictable()) {
    return Error(ErrorCode::kResourceExhausted, "tenant '" + wanted[placement.refused.front()].name +
                                                    "' finds no memory on " + profile_.shape.name +
                                                    "; take more devices or fewer tenants, or let models leave");
  }
  return ok_status();
}

void Cluster::carry_out(Node& node, std::uint32_t tenant, const sched::PlacerAction& action) {
  const auto place = static_cast<std::uint32_t>(action.device);
  const std::uint32_t device = node.first_device + place;
  const bool loads = action.kind == sched::PlacerAction::Kind::kLoad;
  Holders& holders = node.holders[tenant];
  const auto at = holder_at(holders, place);
  if (options_.moved) {
    options_.moved({loop_.time(), tenant, device, loads});
  }
  if (!loads) {  // what waits there is finished
    holders.erase(at);
    node.residences[tenant].erase(place);
    return;
  }
  const bool starts = devices_.empty();
  node.residences[tenant][place] = {loop_.time(), !starts};
  if (starts) {
    holders.insert(at, {place, 0});
  } else {
    loadings_.push_back({device, tenant});
    loop_.at(loop_.time() + options_.load_time, *this, token(Moment::kLoaded, loadings_.size() - 1));
  }
}

// Of all nodes, as a server does now and then: what is asked for often gets room for further replicas.
void Cluster::place_anew() {
  for (Tenant& tenant : tenants_) {
    const double seconds = std::chrono::duration<double>(options_.placing).count();
    tenant.rate += kOfLately * (static_cast<double>(std::exchange(tenant.lately, 0)) / seconds - tenant.rate);
  }
  static_cast<void>(place());  // who finds no room waits for the next round
  if (loop_.time() + options_.placing < ends_) {
    loop_.at(loop_.time() + options_.placing, *this, token(Moment::kPlace, 0));
  }
}

bool Cluster::lives(const Node& node) const {
  const auto devices = devices_of(node);
  return std::any_of(devices.begin(), devices.end(), [](const sched::PlacerDevice& device) { return device.up; });
}

// On the node with the fewest requests, of equal ones the next in turn, until its model is there, or on another one.
// False: it may not.
bool Cluster::wait_for_model(std::uint32_t slot) {
  Request& request = requests_[slot];
  Tenant& tenant = tenants_[request.tenant];
  if (!evictable()) {
    return false;
  }
  std::optional<std::uint32_t> chosen;
  for (std::size_t i = 0; i < tenant.nodes.size(); ++i) {
    const std::uint32_t number = tenant.nodes[(tenant.turn + i) % tenant.nodes.size()];
    if (lives(nodes_[number]) && (!chosen || nodes_[number].open < nodes_[*chosen].open)) {
      chosen = number;
    }
  }
  ++tenant.turn;
  if (!chosen || nodes_[*chosen].waiting[request.tenant].size() >= kMostWaiting) {
    return false;
  }
  request.node = *chosen;
  request.device = kNoDevice;
  request.waited = true;
  Node& node = nodes_[*chosen];
  ++node.open;
  auto& waiting = node.waiting[request.tenant];
  waiting.push_back(slot);
  if (waiting.size() == 1) {
    static_cast<void>(place_on(*chosen));
  }
  return true;
}

// It waits there no more.
std::vector<std::uint32_t> Cluster::take_waiting(Node& node, std::uint32_t tenant) {
  std::vector<std::uint32_t> taken = std::exchange(node.waiting[tenant], {});
  node.open -= taken.size();
  return taken;
}

// Of a node that has no device any more: elsewhere, or they fail.
void Cluster::move_waiting(Node& node) {
  for (std::uint32_t tenant = 0; tenant < tenants_.size(); ++tenant) {
    for (const std::uint32_t slot : take_waiting(node, tenant)) {
      if (!send(slot)) {
        fail(slot);
      }
    }
  }
}

void Cluster::fail_waiting() {
  for (Node& node : nodes_) {
    for (std::uint32_t tenant = 0; tenant < tenants_.size(); ++tenant) {
      for (const std::uint32_t slot : take_waiting(node, tenant)) {
        fail(slot);
      }
    }
  }
}

void Cluster::load(const Loading& loading) {
  if (!up_[loading.device]) {
    return;
  }
  const auto number = loading.device / static_cast<std::uint32_t>(options_.devices_per_node);
  Node& node = nodes_[number];
  const std::uint32_t place = loading.device - node.first_device;
  Holders& holders = node.holders[loading.tenant];
  if (holds(holders, place)) {  // asked for twice
    return;
  }
  add_model(loading.device, loading.tenant);
  // Where little else differs, the one that was asked least goes first: not until it has caught up with the others.
  const auto least = std::min_element(holders.begin(), holders.end(),
                                      [](const Holder& one, const Holder& than) { return one.routed < than.routed; });
  const std::uint64_t routed = least == holders.end() ? 0 : least->routed;
  holders.insert(holder_at(holders, place), {place, routed});
  node.residences[loading.tenant][place].loads = false;
  for (const std::uint32_t other : tenants_[loading.tenant].nodes) {
    for (const std::uint32_t slot : take_waiting(nodes_[other], loading.tenant)) {
      send(slot, number);
    }
  }
}

}  // namespace tessera::sim
