// Serving on all devices of a server: to each request its device, and one picture of what they all do.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/growing.h"
#include "model/live_params.h"
#include "runtime/route_table.h"
#include "runtime/serving.h"
#include "runtime/set_aside.h"

namespace tessera::runtime {

// With one device a request takes the way it would take without a fleet. Thread-safe.
class Fleet {
 public:
  // `options` are every device's; a byte quota is a model's on one device. Error: no device or more than kMaxDevices;
  // that of Serving::create.
  static Result<std::unique_ptr<Fleet>> create(const ServingOptions& options,
                                               std::vector<std::unique_ptr<device::Device>> devices);
  // One more, which serves what is put on it from now on; its number. One call at a time, while others use the object.
  // Error: there are kMaxDevices, or the server stops (the device is left as it is); that of Serving::create.
  Result<std::size_t> add(std::unique_ptr<device::Device>&& device, const std::string& policy, std::size_t max_homes);
  ~Fleet();  // answers what is still there; nobody may call any more
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // See Service.
  void infer(std::shared_ptr<InferCall> call);
  void cancel(const InferCall& call);
  Result<std::shared_ptr<BodyMemory>> lease_body(std::string_view model, Bytes size);
  Result<std::shared_ptr<const model::Instance>> find(std::string_view model,
                                                      std::optional<std::int64_t> version) const;
  std::vector<std::int64_t> versions(std::string_view model) const;
  std::vector<std::shared_ptr<const model::Instance>> serving() const;
  bool accepts() const { return !draining_.load() && any_up(); }
  bool any_up() const;
  bool refuse_new();  // see Service
  bool drain(std::chrono::milliseconds limit);
  std::vector<ModelStatistics> statistics() const;
  std::vector<DeviceStatistics> device_statistics() const;
  // Of that name and version, by device: where it is loaded now.
  std::map<std::string, engine::MemoryUse> memory(const model::Instance& instance) const;
  void count_copied(Bytes bytes) { units_.front()->count_copied(bytes); }

  // See Service.
  Result<sched::LiveParams> params(std::string_view model, std::optional<std::int64_t> version) const;
  Result<sched::LiveParams> change_params(std::string_view model, const model::ParamChanges& changes,
                                          std::string_view policy_without_shares);
  // The model gets the parameters on the device that hold for it on others. To be called by who changes parameters.
  void adopt_params(std::size_t number, std::string_view model);
  // What of a model would have no effect under such a policy. Error names the model and its parameter.
  Status check_params(std::string_view policy_without_shares) const;
  void change_policy(const std::string& policy);
  Snapshot snapshot();

  std::size_t size() const { return units_.size(); }
  Serving& unit(std::size_t number) { return *units_[number]; }

  // Called on any thread; must be short.
  struct Faults {
    std::function<void(std::size_t device)> lost;  // once for each device that was or will be lost
    // A batch of the instance does not end; without `why`: it has ended after all. One call at a time, the last one
    // true.
    std::function<void(std::size_t device, const model::Instance& instance, const Error* why)> stuck;
  };
  // Without functions: nobody wants to know any more.
  void on_faults(Faults told);

  // A model that a device set aside is wanted again; see SetAside.
  void on_wanted(SetAside::Want want) { aside_.on_wanted(std::move(want)); }
  // Nobody brings anything back any more: who waits for it is told that the server stops.
  void end_waits() { aside_.close(); }
  void abandon();

 private:
  explicit Fleet(const ServingOptions& options);

  bool alone() const { return units_.size() == 1; }
  Neighbours neighbours_of(std::uint16_t number);
  // Gives the call to a device that has its model. False: there is none (any more).
  bool place(std::shared_ptr<InferCall>& call, std::optional<std::uint16_t> preferred,
             std::optional<TimePoint> accepted, DeviceSet tried = 0);
  bool take_over(std::shared_ptr<InferCall>& call, TimePoint accepted);
  // To a device that serves its model, or to wait for one. False: nobody knows it.
  bool place_or_wait(std::shared_ptr<InferCall>& call);
  Result<std::shared_ptr<const model::Instance>> find_on_devices(std::string_view model,
                                                                 std::optional<std::int64_t> version) const;
  Result<std::shared_ptr<BodyMemory>> lease_from_devices(std::string_view model, Bytes size);
  void lost(std::uint16_t number);
  void stuck(std::uint16_t number, const ServedInstance& served);
  std::uint64_t unanswered() const;

  const ServingOptions options_;  // of every device
  SetAside aside_;
  RouteTable routes_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> closing_{false};
  std::atomic<std::uint32_t> transfers_{0};  // under way
  std::atomic<std::uint64_t> transfers_begun_{0};

  std::mutex loss_;  // guards the two below
  Faults told_;
  std::vector<std::size_t> untold_;

  Growing<Serving, kMaxDevices> units_;  // last: their devices' threads use the above
};

}  // namespace tessera::runtime
