#include "sched/placer.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace tessera::sched {
namespace {

bool at(const std::vector<bool>& flags, std::size_t index, bool otherwise) {
  return index < flags.size() ? flags[index] : otherwise;
}

// One decision in the making. Lives for one call of decide().
class Plan {
 public:
  Plan(const std::vector<PlacerDevice>& devices, const std::vector<PlacerModel>& models, const PlacerOptions& options)
      : devices_(devices),
        models_(models),
        options_(options),
        held_(models.size()),
        evicted_(models.size(), false),
        used_(devices.size(), 0) {
    for (std::size_t model = 0; model < models.size(); ++model) {
      held_[model].resize(devices.size());
      for (std::size_t device = 0; device < devices.size(); ++device) {
        if (devices[device].up && at(models[model].loaded, device, false)) {
          held_[model][device] = true;
          used_[device] += models[model].bytes.value;
        }
      }
    }
  }

  Placement make() {
    for (const std::size_t model : busiest_first()) {
      // What was idle enough to go for another one does not come back for it.
      if (models_[model].wanted && !evicted_[model] && replicas(model) == 0 && !place_first(model)) {
        out_.refused.push_back(model);
      }
    }
    for (const std::size_t model : busiest_first()) {
      if (replicas(model) > 0) {
        place_further(model);
      }
    }
    // Room is made before it is used, also where one of those that left may stay after all.
    std::stable_partition(out_.actions.begin(), out_.actions.end(),
                          [](const PlacerAction& action) { return action.kind == Kind::kUnload; });
    return std::move(out_);
  }

 private:
  using Kind = PlacerAction::Kind;

  std::vector<std::size_t> busiest_first() const {
    std::vector<std::size_t> order(models_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return models_[a].rate > models_[b].rate; });
    return order;
  }

  std::size_t replicas(std::size_t model) const {
    return static_cast<std::size_t>(std::count(held_[model].begin(), held_[model].end(), true));
  }
  // A wish that only lost devices could grant is granted by others: serving elsewhere is better than nowhere.
  bool may_hold(std::size_t model, std::size_t device) const {
    const auto& allowed = models_[model].allowed;
    bool any = false;
    for (std::size_t other = 0; other < devices_.size(); ++other) {
      any = any || (devices_[other].up && at(allowed, other, true));
    }
    return devices_[device].up && (!any || at(allowed, device, true));
  }
  std::uint64_t free(std::size_t device) const {
    const auto& memory = devices_[device].memory;
    if (!memory) {
      return std::numeric_limits<std::uint64_t>::max() - used_[device];
    }
    return memory->value > used_[device] ? memory->value - used_[device] : 0;
  }

  void load(std::size_t model, std::size_t device) {
    held_[model][device] = true;
    used_[device] += models_[model].bytes.value;
    out_.actions.push_back({Kind::kLoad, model, device});
  }
  void unload(std::size_t model, std::size_t device) {
    held_[model][device] = false;
    used_[device] -= models_[model].bytes.value;
    out_.actions.push_back({Kind::kUnload, model, device});
  }

  bool place_first(std::size_t model) {
    std::optional<std::size_t> roomiest;
    for (std::size_t device = 0; device < devices_.size(); ++device) {
      if (may_hold(model, device) && (!roomiest || free(device) > free(*roomiest))) {
        roomiest = device;
      }
    }
    if (!roomiest) {
      return false;
    }
    if (free(*roomiest) >= models_[model].bytes.value) {
      load(model, *roomiest);
      return true;
    }
    return place_in_room_made(model);
  }

  // On the device where the least has to leave for it.
  bool place_in_room_made(std::size_t model) {
    std::optional<std::size_t> best;
    std::vector<std::size_t> leaving;
    for (std::size_t device = 0; device < devices_.size(); ++device) {
      if (!may_hold(model, device)) {
        continue;
      }
      std::vector<std::size_t> would_leave;
      if (make_room(model, device, would_leave) && (!best || would_leave.size() < leaving.size())) {
        best = device;
        leaving = std::move(would_leave);
      }
    }
    if (!best) {
      return false;
    }
    for (const std::size_t other : leaving) {
      unload(other, *best);
      evicted_[other] = replicas(other) == 0;
    }
    load(model, *best);
    return true;
  }

  // Whether room can be made, and by what leaving.
  bool make_room(std::size_t model, std::size_t device, std::vector<std::size_t>& leaving) const {
    std::vector<std::size_t> order;
    for (std::size_t other = 0; other < models_.size(); ++other) {
      if (held_[other][device] && (is_spare(other, device) || is_idle(other, device))) {
        order.push_back(other);
      }
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const bool a_spare = is_spare(a, device);
      const bool b_spare = is_spare(b, device);
      if (a_spare != b_spare) {
        return a_spare;
      }
      return a_spare ? models_[a].rate < models_[b].rate : models_[a].idle > models_[b].idle;
    });
    std::uint64_t room = free(device);
    for (const std::size_t other : order) {
      if (room >= models_[model].bytes.value) {
        break;
      }
      room += models_[other].bytes.value;
      leaving.push_back(other);
    }
    // What was in the way before a larger one left may stay.
    std::erase_if(leaving, [&](std::size_t other) {
      const std::uint64_t without = room - models_[other].bytes.value;
      const bool stays = without >= models_[model].bytes.value;
      room = stays ? without : room;
      return stays;
    });
    return room >= models_[model].bytes.value;
  }

  // A replica that others of its model can stand for.
  bool is_spare(std::size_t model, std::size_t device) const {
    const auto& residing = models_[model].residing;
    const bool new_here = device < residing.size() && residing[device] < options_.stay;
    return replicas(model) > 1 && at(models_[model].loaded, device, false) && !new_here;
  }
  bool is_idle(std::size_t model, std::size_t device) const {
    return models_[model].evictable && models_[model].idle >= options_.idle_before_eviction &&
           at(models_[model].loaded, device, false);
  }

  // Wherever there is room anyway.
  void place_further(std::size_t model) {
    for (std::size_t device = 0; device < devices_.size(); ++device) {
      if (!may_hold(model, device) || held_[model][device] || free(device) < models_[model].bytes.value) {
        continue;
      }
      const PlacerAction leaves{Kind::kUnload, model, device};
      const auto left = std::find(out_.actions.begin(), out_.actions.end(), leaves);
      if (left == out_.actions.end()) {
        load(model, device);
      } else {  // it need not go
        out_.actions.erase(left);
        held_[model][device] = true;
        used_[device] += models_[model].bytes.value;
      }
    }
  }

  const std::vector<PlacerDevice>& devices_;
  const std::vector<PlacerModel>& models_;
  const PlacerOptions& options_;
  std::vector<std::vector<bool>> held_;  // by model and device, as it will be
  std::vector<bool> evicted_;            // left, and is on no device
  std::vector<std::uint64_t> used_;      // bytes by device, likewise
  Placement out_;
};

}  // namespace

Placement Placer::decide(const std::vector<PlacerDevice>& devices, const std::vector<PlacerModel>& models) const {
  return Plan(devices, models, options_).make();
}

}  // namespace tessera::sched
