// What an operator changes while models serve, on every device that has to do with it.
#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/admission.h"
#include "runtime/fleet.h"

namespace tessera::runtime {

Result<sched::LiveParams> Fleet::params(std::string_view model, std::optional<std::int64_t> version) const {
  for (const auto& unit : units_) {
    if (const auto served = unit->served(model, version)) {
      return served->counters->params();
    }
  }
  // Set aside: what it comes back with.
  TESSERA_ASSIGN_OR_RETURN(const auto away, find(model, version));
  const sched::LiveParams& written = away->config.params;
  return written;
}

std::map<std::string, engine::MemoryUse> Fleet::memory(const model::Instance& instance) const {
  std::map<std::string, engine::MemoryUse> out;
  for (const auto& unit : units_) {
    const auto served = unit->served(instance.name, instance.version);
    if (served && served->instance->engine_model) {
      out[served->counters->device()] = served->instance->engine_model->memory();
    }
  }
  return out;
}

Result<sched::LiveParams> Fleet::change_params(std::string_view model, const model::ParamChanges& changes,
                                               std::string_view policy_without_shares) {
  struct Change {
    Serving* unit;
    std::shared_ptr<ServedInstance> served;
    sched::LiveParams params;
  };
  std::vector<Change> wanted;
  std::vector<std::unique_lock<std::mutex>> no_load_ends;  // until the shares are changed
  for (const auto& unit : units_) {
    no_load_ends.push_back(unit->lock_shares());
    double before = 0;
    double after = 0;
    for (auto& served : unit->served(model)) {
      const sched::LiveParams now = served->counters->params();
      TESSERA_ASSIGN_OR_RETURN(const auto params, model::with_changes(now, changes, policy_without_shares));
      before += now.reserved_share;
      after += params.reserved_share;
      wanted.push_back({unit.get(), std::move(served), params});
    }
    if (after > before) {
      TESSERA_RETURN_IF_ERROR(unit->fits(std::string(model), after));
    }
  }
  if (wanted.empty()) {
    return unknown_model(model);
  }
  for (const Change& change : wanted) {
    change.unit->change_params(change.served, change.params);
  }
  return params(model, std::nullopt);
}

void Fleet::adopt_params(std::size_t number, std::string_view model) {
  for (const auto& served : units_[number]->served(model)) {
    for (const auto& unit : units_) {
      if (unit == units_[number]) {
        continue;
      }
      const auto other = unit->served(served->instance->name, served->instance->version);
      if (other && other->counters->params() != served->counters->params()) {
        units_[number]->change_params(served, other->counters->params());
      }
      if (other) {
        break;
      }
    }
  }
}

Status Fleet::check_params(std::string_view policy_without_shares) const {
  for (const auto& unit : units_) {
    for (const auto& served : unit->all_served()) {
      if (const Status fits = model::check_live_params(served->counters->params(), policy_without_shares); !fits.ok()) {
        return Error(fits.error().code(), "model '" + served->instance->name + "': " + fits.error().message());
      }
    }
  }
  return ok_status();
}

void Fleet::change_policy(const std::string& policy) {
  for (const auto& unit : units_) {
    unit->change_policy(policy);
  }
}

Snapshot Fleet::snapshot() {
  Snapshot out;
  std::map<std::pair<std::string, std::int64_t>, Snapshot::Tenant> tenants;
  std::map<std::string, std::int64_t> newest;
  Duration jitter{0};
  int jittery = 0;
  for (const auto& unit : units_) {
    if (unit->is_down()) {
      continue;
    }
    if (out.devices++ == 0) {
      out.device = unit->device().shape();
    }
    for (const auto& served : unit->all_served()) {
      const model::Instance& instance = *served->instance;
      Learned learned = unit->learned(*served);
      Snapshot::Tenant& tenant = tenants[{instance.name, instance.version}];
      tenant.rows_per_second += learned.rows_per_second;
      newest[instance.name] = std::max(newest[instance.name], instance.version);
      if (tenant.points.empty()) {
        tenant.model = instance.name;
        tenant.params = instance.config.params;
        static_cast<sched::LiveParams&>(tenant.params) = served->counters->params();
        tenant.points = learned.profile.points();
        tenant.beside_others = learned.beside_others;
        jitter += learned.profile.jitter();
        jittery += learned.profile.jitter() > Duration{0} ? 1 : 0;
      }
    }
  }
  out.jitter = jittery > 0 ? jitter / jittery : Duration{0};
  for (auto& [key, tenant] : tenants) {
    tenant.name = key.first + (newest[key.first] == key.second ? "" : ":" + std::to_string(key.second));
    out.tenants.push_back(std::move(tenant));
  }
  return out;
}

}  // namespace tessera::runtime
