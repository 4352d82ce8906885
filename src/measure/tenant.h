// A model's client in closed loop: some requests are always on their way.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/time.h"
#include "runtime/service.h"

namespace tessera::measure {

struct Answer {
  TimePoint at{};
  Duration took{0};
};

// Owned by the main thread; answers come on any. A request that fails ends the program.
class Tenant {
 public:
  // Requests of `rows` rows of random numbers, which lie in memory that the device reads from. Memory::kForEach: as a
  // front end would have it, each request asks for it anew, and goes to the device that it is nearest to.
  enum class Memory { kOnce, kForEach };
  static Result<std::unique_ptr<Tenant>> make(runtime::Service& service, const model::Instance& instance,
                                              std::int64_t rows, int outstanding, Memory memory);

  const std::string& name() const { return name_; }
  void start();
  void stop() { stopping_.store(true); }  // nothing is sent any more
  // Returns when all is answered. All tenants of a service are stopped before: the thread that starts one's requests
  // may be the one that runs another's.
  void wait();
  std::vector<Answer> answers(TimePoint from, TimePoint until) const;  // after wait()

 private:
  class Call;
  Tenant(runtime::Service& service, std::string name) : service_(service), name_(std::move(name)) {}

  runtime::Service& service_;
  const std::string name_;
  std::vector<std::shared_ptr<Call>> calls_;
  // The host device runs small requests on the thread that posts them: it then goes on with the next until stop().
  std::vector<std::thread> starters_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> on_their_way_{0};
};

}  // namespace tessera::measure
