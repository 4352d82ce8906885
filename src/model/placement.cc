#include "model/placement.h"

#include <utility>

#include "model_config.pb.h"

namespace tessera::model {

Result<std::vector<bool>> wished_devices(const inference::ModelConfig& proto, std::size_t devices) {
  std::vector<bool> wished(devices, false);
  for (int i = 0; i < proto.instance_group_size(); ++i) {
    const auto& group = proto.instance_group(i);
    if (group.gpus_size() == 0) {
      return std::vector<bool>{};
    }
    for (const std::int32_t number : group.gpus()) {
      if (number < 0 || static_cast<std::size_t>(number) >= devices) {
        return invalid_argument("instance_group[" + std::to_string(i) + "].gpus: there is no device " +
                                std::to_string(number) + ", they count from 0 to " + std::to_string(devices - 1));
      }
      wished[static_cast<std::size_t>(number)] = true;
    }
  }
  return proto.instance_group_size() == 0 ? std::vector<bool>{} : wished;
}

void Placement::add() {
  const std::lock_guard lock(mutex_);
  devices_.emplace_back();
  for (auto& [name, wish] : models_) {
    if (!wish.allowed.empty()) {
      wish.allowed.push_back(false);
    }
    wish.holds = decide(wish.allowed);
  }
}

Status Placement::wish(const std::string& model, const inference::ModelConfig& proto) {
  const std::lock_guard lock(mutex_);
  TESSERA_ASSIGN_OR_RETURN(auto allowed, wished_devices(proto, devices_.size()));
  auto holds = decide(allowed);
  models_[model] = {std::move(allowed), std::move(holds)};
  return ok_status();
}

bool Placement::holds(std::size_t device, const std::string& model) const {
  const std::lock_guard lock(mutex_);
  const auto found = models_.find(model);
  return found == models_.end() ? devices_[device].up : static_cast<bool>(found->second.holds[device]);
}

void Placement::forget(const std::string& model) {
  const std::lock_guard lock(mutex_);
  models_.erase(model);
}

void Placement::lose(std::size_t device) {
  const std::lock_guard lock(mutex_);
  devices_[device].up = false;
  for (auto& [name, wish] : models_) {
    wish.holds = decide(wish.allowed);
  }
}

std::vector<bool> Placement::decide(const std::vector<bool>& allowed) const {
  sched::PlacerModel model;
  model.allowed = allowed;
  std::vector<bool> holds(devices_.size(), false);
  for (const sched::PlacerAction& action : placer_.decide(devices_, {model}).actions) {
    holds[action.device] = true;
  }
  return holds;
}

}  // namespace tessera::model
