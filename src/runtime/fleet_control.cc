// What an operator changes while models serve, on every device that has to do with it.
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
  return unknown_model(model);
}

Result<sched::LiveParams> Fleet::change_params(std::string_view model, const model::ParamChanges& changes,
                                               std::string_view policy_without_shares) {
  struct Change {
    Serving* unit;
    std::shared_ptr<ServedInstance> served;
    sched::LiveParams params;
  };
  std::vector<Change> wanted;
  for (const auto& unit : units_) {
    for (auto& served : unit->served(model)) {
      TESSERA_ASSIGN_OR_RETURN(const auto params,
                               model::with_changes(served->counters->params(), changes, policy_without_shares));
      wanted.push_back({unit.get(), std::move(served), params});
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

}  // namespace tessera::runtime
