#include "runtime/homing.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace tessera::runtime {

void Homing::add(std::shared_ptr<ServedInstance> served) {
  const std::lock_guard lock(mutex_);
  if (stopped_) {
    return;
  }
  const InstanceId id = served->instance->id;
  instances_[id] = std::move(served);
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { run(); });
  }
}

void Homing::remove(InstanceId instance) {
  std::unique_lock lock(mutex_);
  instances_.erase(instance);
  std::erase_if(jobs_, [&](const Job& job) { return instance_of(job) == instance; });
  changed_.wait(lock, [&] { return at_ != instance; });
}

bool Homing::prepare(const sched::PrepareHome& home) {
  const std::lock_guard lock(mutex_);
  if (stopped_ || jobs_.size() >= kMaxAsked || instances_.count(home.instance) == 0) {
    return false;
  }
  jobs_.emplace_back(home);
  changed_.notify_all();
  return true;
}

// In the queue, so that the same home may be asked for again behind it. At most as many as there are homes.
void Homing::drop(const sched::DropHome& home) {
  const std::lock_guard lock(mutex_);
  if (!stopped_ && instances_.count(home.instance) != 0) {
    jobs_.emplace_back(home);
    changed_.notify_all();
  }
}

void Homing::stop() {
  std::thread ended;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    jobs_.clear();
    ended.swap(thread_);
  }
  changed_.notify_all();
  if (ended.joinable()) {
    ended.join();
  }
  const std::lock_guard lock(mutex_);
  instances_.clear();
}

void Homing::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopped_ || !jobs_.empty(); });
    if (stopped_) {
      return;
    }
    const Job job = jobs_.front();
    jobs_.pop_front();
    at_ = instance_of(job);
    const std::shared_ptr<ServedInstance> served = instances_.at(at_);
    lock.unlock();
    std::visit([&](const auto& what) { carry_out(what, *served); }, job);
    lock.lock();
    at_ = {};
    changed_.notify_all();
  }
}

void Homing::carry_out(const sched::PrepareHome& home, ServedInstance& served) {
  const auto plan = reports_.device_is_down()
                        ? Result<const device::Plan*>(Error(ErrorCode::kDeviceLost, "device is down"))
                        : served.instance->engine_model->home(home.bucket, home.lane, home.slice);
  if (plan.ok()) {
    served.plans.set(home.slice, home.bucket, home.lane, *plan);
    reports_.ready({home.instance, home.slice, home.bucket, home.lane});
    return;
  }
  const bool for_good = plan.error().code() == ErrorCode::kUnsupported;
  if (!for_good && plan.error().code() != ErrorCode::kDeviceLost) {
    log(LogLevel::kWarning, "a plan could not be homed",
        {{"device", device_}, {"model", served.instance->name}, {"reason", plan.error().message()}});
  }
  reports_.failed({home.instance, home.bucket, home.lane, home.slice, for_good});
}

void Homing::carry_out(const sched::DropHome& home, ServedInstance& served) {
  served.instance->engine_model->drop_home(home.bucket, home.lane, home.slice);
}

InstanceId Homing::instance_of(const Job& job) {
  return std::visit([](const auto& what) { return what.instance; }, job);
}

}  // namespace tessera::runtime
