// Models that left for want of memory, and the requests that wait for their return.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "runtime/body_memory.h"
#include "runtime/route_table.h"
#include "runtime/served_instance.h"
#include "runtime/service.h"
#include "runtime/ticket.h"
#include "runtime/timer.h"

namespace tessera::runtime {

inline constexpr std::size_t kMaxWaitingForReturn = 1024;  // requests, of one model; further ones get a 503
// After a return that failed, requests get the same answer for this long: every attempt may set others aside.
inline constexpr Duration kRetryReturn = std::chrono::seconds(1);

// Looked at only for models that serve nowhere: what serves costs nobody a lock. A request is taken where its model is
// known here; it is given back to the devices when the model has returned, or answered: when its time is up, when it is
// cancelled, or when the return fails. Thread-safe. Calls nobody while it holds its lock.
class SetAside {
 public:
  // Gives the call to a device that serves its model: false, untouched, where none does.
  using Place = std::function<bool(std::shared_ptr<InferCall>& call, TimePoint arrived)>;
  // The device is to load the model again; SetAside hears how that ends. Short.
  using Want = std::function<void(std::size_t device, const std::string& model)>;

  explicit SetAside(Place place) : place_(std::move(place)) {}
  ~SetAside() { close(); }
  SetAside(const SetAside&) = delete;
  SetAside& operator=(const SetAside&) = delete;

  void on_wanted(Want want);

  // ---- The loader thread of `device` ----

  // `served` has no engine model. Called before its instance goes: who does not find that one finds this. `quota` is
  // what the bodies of the model's requests count against.
  void put(std::uint16_t device, std::shared_ptr<ServedInstance> served, std::shared_ptr<ByteQuota> quota);
  // The version serves on the device again.
  void back(std::uint16_t device, const std::string& model, std::int64_t version);
  // The load is over, and the device has nothing of the model set aside; see model::Host::end_aside.
  void end(std::uint16_t device, const std::string& model, const Status& why);

  // ---- Any thread ----

  // The load failed: what was set aside stays so.
  void failed(std::uint16_t device, const std::string& model, const Error& error);
  void lose(std::uint16_t device, const Error& why);

  // A request whose model is on no device: false, untouched, where it is not set aside either. `accepted`: when that
  // was, where a device had accepted it: then it is let in even while the server stops.
  bool take(std::shared_ptr<InferCall>& call, std::optional<TimePoint> accepted);
  // Answers it with kCancelled, if it waits.
  void cancel(const InferCall& call);

  // As in the tables of what serves; nullptr: not here.
  std::shared_ptr<const model::Instance> find(std::string_view model, std::optional<std::int64_t> version) const;
  std::vector<std::int64_t> versions(std::string_view model) const;  // ascending
  std::vector<std::shared_ptr<const model::Instance>> all() const;
  // A device to lease a request's memory from, and the quota it counts against.
  struct Lender {
    std::uint16_t device = 0;
    std::shared_ptr<ByteQuota> quota;
  };
  std::optional<Lender> lender(std::string_view model) const;

  // How often something ceased to be set aside: who found a model neither on a device nor here looks again if this has
  // changed since before.
  std::uint64_t removals() const { return removals_.load(); }
  // Requests that wait or are on their way to a device; and how often one came.
  std::uint64_t unanswered() const { return unanswered_.load(); }
  std::uint64_t taken() const { return taken_.load(); }

  void refuse_new();  // but for those that were accepted before
  void close();       // answers all that waits and everything that comes; asks for nothing any more

 private:
  struct Waiter {
    std::shared_ptr<InferCall> call;
    std::shared_ptr<ServedInstance> served;
    TimePoint arrived{};
    TimePoint ends = kNever;
    bool ends_by_objective = false;  // not by a timeout
  };
  using Waiters = std::list<Waiter>;
  struct Version {
    std::shared_ptr<ServedInstance> served;
    DeviceSet devices = 0;
  };
  struct Model {
    std::map<std::int64_t, Version> versions;
    DeviceSet asked = 0;  // devices whose load is under way
    Waiters waiting;      // in the order they came
    std::optional<Error> failure;
    TimePoint retry_at{};
    std::shared_ptr<ByteQuota> quota;
  };
  using Models = std::map<std::string, Model, std::less<>>;

  static const Version* look_up(const Models& models, std::string_view model, std::optional<std::int64_t> version);
  static Waiter waiter_of(std::shared_ptr<ServedInstance> served, const Ticket& ticket, TimePoint arrived);
  // With the lock held. Error: the call is untouched, and answered so.
  Status enter(Model& model, Waiter waiter, std::shared_ptr<InferCall>& call, bool accepted, DeviceSet& wanted);
  static void forget(Model& model, std::uint16_t device);
  static Waiters leave(Model& model);  // those that have nothing to wait for any more
  void set_timer(TimePoint at);

  void want(const std::string& model, DeviceSet devices);
  void expire();
  void place_all(Waiters waiters, const Status& otherwise);
  void refuse_all(Waiters waiters, const Error& error, Failure failure);
  void refuse(Waiter& waiter, Error error, Failure failure);
  void leave_count(Waiter& waiter);

  const Place place_;
  mutable std::mutex mutex_;  // guards the six below
  Models models_;
  Want want_;
  bool refusing_ = false;
  bool closed_ = false;
  TimePoint timer_at_ = kNever;

  std::atomic<std::uint64_t> removals_{0};
  std::atomic<std::uint64_t> unanswered_{0};
  std::atomic<std::uint64_t> taken_{0};
  std::atomic<std::uint32_t> wanting_{0};  // calls of want_ under way
  std::unique_ptr<Timer> timer_;           // from the first put() on; last: its thread uses all of the above
};

}  // namespace tessera::runtime
