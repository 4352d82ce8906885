// Serving on one device: everything of the service but the lives of the models, which come and go through model::Host.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/device.h"
#include "model/host.h"
#include "runtime/dispatcher.h"
#include "runtime/homing.h"
#include "runtime/model_table.h"
#include "runtime/route_table.h"
#include "runtime/service.h"
#include "runtime/set_aside.h"
#include "runtime/statistics_book.h"

namespace tessera::runtime {

struct ServingOptions {
  std::string policy = "tessera";
  std::function<std::unique_ptr<sched::Policy>()> own_policy = {};  // as of ServiceOptions
  Bytes body_quota_per_model{std::uint64_t{1} << 30};
  Dispatcher::Limits limits;
  std::shared_ptr<Recorder> recorder;  // nullptr: nothing is recorded
  // Where there are other devices.
  std::uint16_t number = 0;      // this one's
  RouteTable* routes = nullptr;  // outlives the object
  Neighbours neighbours{};
  // Where models go that leave for want of memory; outlives the object. nullptr: they are gone.
  SetAside* aside = nullptr;
};

// Thread-safe; the methods of model::Host are the loader thread's.
class Serving final : public model::Host {
 public:
  // Error: unknown policy; a bound out of range.
  static Result<std::unique_ptr<Serving>> create(ServingOptions options, std::unique_ptr<device::Device> device);
  ~Serving() override;  // answers what is still there; nobody may call any more

  // See Service.
  void infer(std::shared_ptr<InferCall> call);
  // The same; false, the call untouched, where the model does not serve here. `accepted`: when that was, where another
  // device had accepted the request: it counts from then, and is let in even while the server stops.
  bool infer_if_known(std::shared_ptr<InferCall>& call, std::optional<TimePoint> accepted = std::nullopt);
  void cancel(const InferCall& call);
  void cancel(RequestId request) { dispatcher_.cancel(request); }
  Result<std::shared_ptr<BodyMemory>> lease_body(std::string_view model, Bytes size);
  Result<std::shared_ptr<const model::Instance>> find(std::string_view model,
                                                      std::optional<std::int64_t> version) const;
  std::vector<std::int64_t> versions(std::string_view model) const { return table_.versions(model); }
  std::vector<std::shared_ptr<const model::Instance>> serving() const;
  bool accepts() const { return !draining_.load() && !dispatcher_.is_down(); }
  bool is_down() const { return dispatcher_.is_down(); }
  bool drain(std::chrono::milliseconds limit);
  void refuse_new() { draining_.store(true); }

  device::StagingPool& staging() { return device_->staging(); }

  const StatisticsBook& statistics() const { return book_; }
  DeviceStatistics device_statistics() const { return dispatcher_.statistics(); }
  void count_copied(Bytes bytes) { dispatcher_.count_copied(bytes); }

  // ---- Shares that models reserve of the device ----

  // Held while several are changed, or one is weighed against the others. Of several devices in their order.
  std::unique_lock<std::mutex> lock_shares() { return std::unique_lock(shares_mutex_); }
  // With that lock: whether the model may reserve so much with all of its versions together. Error: that would be more
  // than the device, with what others do.
  Status fits(const std::string& model, double share) const;

  // model::Host
  device::Device& device() override { return *device_; }
  InstanceId next_instance_id() override { return {next_instance_.fetch_add(1)}; }
  Status with_borrowed(const Slice& slice, Duration expected, const std::function<Status()>& step) override;
  Status claim_share(const std::string& model, double share, bool as_served) override;
  void end_claim() override;
  Status publish(std::shared_ptr<const model::Instance> instance, sched::Profile profile) override;
  void slice_ready(const model::Instance& instance, const Slice& slice) override;
  Status with_lane(const model::Instance& instance, LaneIndex lane, const std::function<Status()>& step) override;
  void plan_ready(const model::Instance& instance, const Slice& slice, std::int32_t bucket, LaneIndex lane) override;
  void measured(const model::Instance& instance, const Slice& slice, std::int32_t bucket, Duration took) override;
  void buckets_end(const model::Instance& instance, const std::string& cause) override;
  void reloaded(const model::Instance& instance) override;
  sched::Profile withdraw(const model::Instance& instance) override;
  std::optional<TimePoint> idle_since(const model::Instance& instance) override;
  sched::Profile set_aside(const model::Instance& instance) override;
  void end_aside(const std::string& model, const Status& why) override;
  void return_failed(const std::string& model, const Error& error) override;

  // See Dispatcher. Of the name: every version that serves here, ascending.
  std::vector<std::shared_ptr<ServedInstance>> served(std::string_view model) const;
  std::vector<std::shared_ptr<ServedInstance>> all_served() const { return table_.all(); }
  std::shared_ptr<ServedInstance> served(std::string_view model, std::optional<std::int64_t> version) const {
    return table_.find(model, version);
  }
  void change_params(const std::shared_ptr<ServedInstance>& served, const sched::LiveParams& params) {
    dispatcher_.change_params(served, params);
  }
  void change_policy(const std::string& policy) { dispatcher_.change_policy(policy); }
  Learned learned(const ServedInstance& served) { return dispatcher_.learned(served.instance->id); }

  // Answers all that waits and everything that comes. For who ends the process without destroying this.
  void abandon() { dispatcher_.stop(); }

 private:
  Serving(ServingOptions options, std::unique_ptr<sched::Policy> policy, std::unique_ptr<device::Device> device);

  // An accepted request's way to the queue. Error: what it is answered with.
  Status queue(std::shared_ptr<InferCall>& call, const std::shared_ptr<ServedInstance>& served,
               std::optional<TimePoint> accepted);
  Result<std::shared_ptr<BodyMemory>> lease_padded(const model::Instance& instance, Bytes size);
  Neighbours with_replacement(Neighbours neighbours);
  std::shared_ptr<ModelCounters> kept_counters(const model::Instance& instance);
  Status enter_plans(ServedInstance& served, const Slice& slice);

  std::unique_ptr<device::Device> device_;
  const std::uint16_t number_;
  RouteTable* const routes_;
  SetAside* const aside_;
  std::atomic<bool> draining_{false};
  std::atomic<std::uint32_t> next_instance_{1};
  ModelTable table_;
  StatisticsBook book_;
  std::mutex shares_mutex_;
  std::optional<std::pair<std::string, double>> claim_;  // of the model that is being loaded; guarded by the above
  // Owned by the loader thread.
  std::map<InstanceId, std::shared_ptr<ServedInstance>> published_;
  std::map<InstanceId, std::vector<Slice>> ready_before_publishing_;
  std::map<std::string, std::map<std::int64_t, std::shared_ptr<ServedInstance>>> left_;  // set aside
  Dispatcher dispatcher_;
  Homing homing_;
};

}  // namespace tessera::runtime
