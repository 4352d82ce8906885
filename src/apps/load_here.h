// A server in this process, as `tessera serve` would make it, for load without a wire.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "apps/load.h"
#include "apps/serve_options.h"
#include "base/result.h"
#include "loadgen/inbox.h"
#include "loadgen/target.h"
#include "loadgen/workload.h"
#include "runtime/service.h"

namespace tessera::apps {

// Requests of one kind share their inputs, which lie where the device wants them: what is measured is scheduling and
// computing. Threads hand them over as those of a server's connections would, which may compute a small one themselves;
// the thread that holds the schedule never does. What HTTP would answer with 503 counts as rejected. Owned by one
// thread.
class HereTarget final : public loadgen::Target {
 public:
  // Loads the workload's models from options.service's repositories, with all their plans. Error: one cannot be loaded.
  static Result<std::unique_ptr<HereTarget>> create(const LoadOptions& options, const loadgen::Workload& workload);
  ~HereTarget() override;  // after what is still on its way

  // Each model serves on its tenants' terms: the tightest of their objectives, where one has any, and, under a policy
  // that heeds them, their largest weight and shares.
  Status set_terms(const std::vector<loadgen::Tenant>& tenants) override;
  // As `--policy` has it, for what is sent from now on, and the tenants' terms under it. Nothing may be on its way.
  Status change_policy(const std::string& policy, const std::vector<loadgen::Tenant>& tenants);
  Status prepare(std::size_t tenant, std::int32_t rows) override;
  // A file of profiles (sim/profiles.h) with the latencies that the scheduler knows by now.
  Result<std::string> learned() const;
  // Nothing more is recorded (options.service.record), and what was is in the file.
  void end_recording() { service_->end_recording(); }

  bool send(std::size_t tenant, std::int32_t rows, std::uint64_t number) override;
  bool send_due(std::size_t tenant, std::int32_t rows, std::uint64_t number, TimePoint due) override;
  std::optional<loadgen::Usage> usage() const override;
  void wait(TimePoint until, std::vector<loadgen::Answer>& answers) override { inbox_.take(until, answers); }

 private:
  // What all requests with so many rows are made of.
  struct Form {
    std::vector<InputTensor> inputs;
    std::shared_ptr<runtime::BodyMemory> memory;
  };
  class Call;
  class HandOver;

  HereTarget(const LoadOptions& options, const loadgen::Workload& workload);

  const LoadOptions& options_;
  std::vector<std::string> models_;  // by tenant
  loadgen::Inbox inbox_;
  std::unique_ptr<runtime::Service> service_;        // tells the inbox
  std::vector<std::map<std::int32_t, Form>> forms_;  // by tenant and rows; their memory is the service's
  std::unique_ptr<HandOver> hand_over_;
};

}  // namespace tessera::apps
