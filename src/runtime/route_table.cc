#include "runtime/route_table.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/clock.h"

namespace tessera::runtime {

RouteTable::Choice RouteTable::choose(std::string_view model, std::optional<std::int64_t> version,
                                      DeviceSet tried) const {
  Choice choice;
  const auto table = table_.read();
  const auto name = table->find(model);
  if (name == table->end()) {
    return choice;
  }
  const auto& versions = name->second.versions;
  for (auto at = versions.rbegin(); at != versions.rend() && !choice.device; ++at) {
    if (!version || at->number == *version) {
      choice.known = true;
      choice.device = choose(name->second, *at, tried);
    }
  }
  return choice;
}

std::optional<std::uint16_t> RouteTable::choose(const Name& name, const Version& version, DeviceSet tried) const {
  std::array<sched::Candidate, kMaxDevices> candidates;
  std::array<const Replica*, kMaxDevices> replicas;
  std::size_t count = 0;
  for (const Replica& replica : version.replicas) {
    const DeviceLoadCell& load = loads_[replica.device];
    const ServedInstance& served = *replica.served;
    if ((tried & only(replica.device)) != 0 || !load.takes_launches() || served.stuck.load(std::memory_order_acquire)) {
      continue;
    }
    const bool objective = served.counters->slo() > Duration::zero();
    candidates[count].free_at = objective ? load.free_for_objectives.get() : load.free_at.get();
    candidates[count].model = {served.load.each.get(), served.load.run.get(), served.counters->waiting(),
                               served.load.running.load(std::memory_order_relaxed)};
    candidates[count].routed = served.load.routed.load(std::memory_order_relaxed);
    replicas[count++] = &replica;
  }
  if (count == 0) {
    return std::nullopt;
  }
  const Replica& chosen = *replicas[router_.choose({candidates.data(), count}, now(), name.begin)];
  chosen.served->load.routed.fetch_add(1, std::memory_order_relaxed);
  return chosen.device;
}

std::shared_ptr<const Error> RouteTable::stuck(std::string_view model, std::optional<std::int64_t> version) const {
  const auto table = table_.read();
  const auto name = table->find(model);
  if (name == table->end()) {
    return nullptr;
  }
  std::shared_ptr<const Error> why;
  for (const Version& at : name->second.versions) {
    for (const Replica& replica : at.replicas) {
      if (version && at.number != *version) {
        continue;
      }
      if (!replica.served->stuck.load(std::memory_order_acquire)) {
        return nullptr;
      }
      why = replica.served->stuck_with;
    }
  }
  return why;
}

bool RouteTable::serves(std::uint16_t device, std::string_view model, std::optional<std::int64_t> version) const {
  const auto table = table_.read();
  const auto name = table->find(model);
  if (name == table->end() || !takes_launches(device)) {
    return false;
  }
  const auto& versions = name->second.versions;
  return std::any_of(versions.begin(), versions.end(), [&](const Version& at) {
    return (version ? at.number == *version : at.number == versions.back().number) &&
           std::any_of(at.replicas.begin(), at.replicas.end(), [&](const Replica& replica) {
             return replica.device == device && !replica.served->stuck.load(std::memory_order_acquire);
           });
  });
}

std::shared_ptr<const model::Instance> RouteTable::find(std::string_view model,
                                                        std::optional<std::int64_t> version) const {
  const auto table = table_.read();
  const auto name = table->find(model);
  if (name == table->end()) {
    return nullptr;
  }
  const auto& versions = name->second.versions;
  const auto at = std::find_if(versions.rbegin(), versions.rend(),
                               [&](const Version& candidate) { return !version || candidate.number == *version; });
  return at == versions.rend() ? nullptr : at->replicas.front().served->instance;
}

std::vector<std::int64_t> RouteTable::versions(std::string_view model) const {
  std::vector<std::int64_t> out;
  const auto table = table_.read();
  if (const auto name = table->find(model); name != table->end()) {
    for (const Version& version : name->second.versions) {
      out.push_back(version.number);
    }
  }
  return out;
}

std::vector<std::shared_ptr<const model::Instance>> RouteTable::all() const {
  std::vector<std::shared_ptr<const model::Instance>> out;
  const auto table = table_.read();
  for (const auto& [name, entry] : *table) {
    for (const Version& version : entry.versions) {
      out.push_back(version.replicas.front().served->instance);
    }
  }
  return out;
}

std::optional<double> RouteTable::reserved_elsewhere(std::uint16_t device, std::string_view model) const {
  const auto table = table_.read();
  const auto name = table->find(model);
  if (name == table->end()) {
    return std::nullopt;
  }
  std::map<std::uint16_t, double> shares;  // by device
  for (const Version& version : name->second.versions) {
    for (const Replica& replica : version.replicas) {
      if (replica.device != device) {
        shares[replica.device] += replica.served->counters->params().reserved_share;
      }
    }
  }
  return shares.empty() ? std::nullopt : std::optional(shares.begin()->second);
}

void RouteTable::put(std::uint16_t device, std::shared_ptr<ServedInstance> served) {
  const std::lock_guard lock(writing_);
  auto next = std::make_unique<Table>(*table_.read());
  const model::Instance& instance = *served->instance;
  Name& name = (*next)[instance.name];
  name.begin = std::hash<std::string>{}(instance.name);
  auto at = std::lower_bound(name.versions.begin(), name.versions.end(), instance.version,
                             [](const Version& a, std::int64_t number) { return a.number < number; });
  if (at == name.versions.end() || at->number != instance.version) {
    at = name.versions.insert(at, Version{instance.version, {}});
  }
  // One that comes later does not have to catch up.
  std::uint64_t most = 0;
  for (const Replica& replica : at->replicas) {
    most = std::max(most, replica.served->load.routed.load(std::memory_order_relaxed));
  }
  served->load.routed.store(most, std::memory_order_relaxed);
  const auto same = std::find_if(at->replicas.begin(), at->replicas.end(),
                                 [&](const Replica& replica) { return replica.device == device; });
  if (same != at->replicas.end()) {
    same->served = std::move(served);
  } else {
    at->replicas.push_back({device, std::move(served)});
    std::sort(at->replicas.begin(), at->replicas.end(),
              [](const Replica& a, const Replica& b) { return a.device < b.device; });
  }
  table_.replace(std::move(next));
}

void RouteTable::remove(std::uint16_t device, InstanceId instance) {
  const std::lock_guard lock(writing_);
  auto next = std::make_unique<Table>(*table_.read());
  for (auto& [key, name] : *next) {
    for (Version& version : name.versions) {
      std::erase_if(version.replicas, [&](const Replica& replica) {
        return replica.device == device && replica.served->instance->id == instance;
      });
    }
    std::erase_if(name.versions, [](const Version& version) { return version.replicas.empty(); });
  }
  std::erase_if(*next, [](const auto& entry) { return entry.second.versions.empty(); });
  table_.replace(std::move(next));
}

}  // namespace tessera::runtime
