// What the runtime keeps of a published model instance.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <semaphore>
#include <string>

#include "base/result.h"
#include "core/slice.h"
#include "model/instance.h"
#include "runtime/counters.h"
#include "runtime/load_cell.h"
#include "runtime/plan_table.h"
#include "runtime/shape_table.h"
#include "sched/profile.h"

namespace tessera::runtime {

// Thread-safe; each member says who writes it. Everything a request touches lies here, one object an instance, so that
// tenants share no lock and no counter.
struct ServedInstance {
  // `kept`: the counters of the same version before it was set aside; nullptr: new ones. An instance without an engine
  // model is one that is set aside.
  ServedInstance(std::shared_ptr<const model::Instance> loaded, const DeviceShape& device,
                 std::shared_ptr<ModelCounters> kept = nullptr);

  const std::shared_ptr<const model::Instance> instance;
  const std::shared_ptr<ModelCounters> counters;  // outlives the instance: statistics are kept
  const bool shapes_vary;                         // whether requests may have different shapes
  const bool dynamic_shapes;                      // whether rows of different shapes can arrive
  ShapeTable shapes;
  const std::optional<ShapeId> measured_shape;  // of a model with shape buckets: what its profile is of
  PlanTable plans;

  // Why no larger batch size comes. Written once, by the loader thread, before the dispatcher hears that none does.
  std::string no_more_rows;

  ModelLoadCell load;  // written by the holder of the role, where there is a router

  std::atomic<std::uint32_t> admitting{0};   // requests that found it and have not been posted yet
  std::atomic<std::uint32_t> unanswered{0};  // requests that found it and whose done() has not returned
  std::atomic<std::int64_t> last_used;       // when the last of them arrived, or it was made; monotonic, ns

  // A batch of it does not end. `stuck_with` is written once, before `stuck` is true for the first time.
  std::atomic<bool> stuck{false};  // written by the holder of the role
  std::shared_ptr<const Error> stuck_with;
  std::uint32_t stuck_launches = 0;  // the holder's

  // Written by the holder of the role before `drained` is released; read by the loader thread after.
  std::optional<sched::Profile> last_profile;
  std::binary_semaphore drained{0};
};

}  // namespace tessera::runtime
