// Homes captured plans while models serve: the second thread of a device that makes plans ready, beside the loader's.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "base/ids.h"
#include "runtime/served_instance.h"
#include "sched/events.h"

namespace tessera::runtime {

// What is asked for is done in the order asked. Thread-safe. Without an instance whose homes are made one by one there
// is no thread.
class Homing {
 public:
  // How many homes may be asked for and not there yet; the scheduler asks for fewer (SchedulerLimits::max_homes_asked,
  // and those in the whole device when a model comes).
  static constexpr std::size_t kMaxAsked = 4096;

  // Told by the homing thread.
  struct Reports {
    std::function<void(const sched::SliceReady&)> ready;  // its plan is in the instance's table
    std::function<void(const sched::HomeFailed&)> failed;
    std::function<bool()> device_is_down;
  };

  Homing(std::string device, Reports reports) : device_(std::move(device)), reports_(std::move(reports)) {}
  ~Homing() { stop(); }
  Homing(const Homing&) = delete;
  Homing& operator=(const Homing&) = delete;

  // Called by the loader thread: from here on homes of the instance are made.
  void add(std::shared_ptr<ServedInstance> served);
  // Returns when nothing of it is homed any more; what was asked for is forgotten.
  void remove(InstanceId instance);

  // Called by the holder of the dispatcher's role; short. False: it will not be made (unknown instance, or full).
  bool prepare(const sched::PrepareHome& home);
  // Nobody finds the plan there any more.
  void drop(const sched::DropHome& home);

  // Ends the thread, after what it is at. Nothing is homed any more.
  void stop();

 private:
  using Job = std::variant<sched::PrepareHome, sched::DropHome>;

  void run();
  void carry_out(const sched::PrepareHome& home, ServedInstance& served);
  static void carry_out(const sched::DropHome& home, ServedInstance& served);
  static InstanceId instance_of(const Job& job);

  const std::string device_;
  const Reports reports_;

  std::mutex mutex_;  // guards all below; held for a moment only
  std::condition_variable changed_;
  std::map<InstanceId, std::shared_ptr<ServedInstance>> instances_;
  std::deque<Job> jobs_;
  InstanceId at_{};  // whose job is being done
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace tessera::runtime
