// What load is generated against: a server behind a wire, or one in this process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

// What became of a request. Value.
struct Answer {
  enum class Kind {
    kAnswered,
    kRejected,  // the server says that it cannot serve it now
    kFailed,
  };
  std::uint64_t number = 0;  // as send() was told
  Kind kind = Kind::kAnswered;
  TimePoint at{};    // when its last byte was there
  std::string text;  // of kFailed: what was wrong
};

// What a target's devices had done by then. Value.
struct Usage {
  TimePoint at{};
  double atom_seconds = 0;  // in which atoms computed, of all devices
  int atoms = 0;            // likewise
};

// Knows its tenants by number, and what each sends. Owned by the thread that generates the load.
class Target {
 public:
  virtual ~Target() = default;

  // Makes requests of `tenant` with so many rows ready; to be called before they are sent. Error: its model is not
  // there or takes no such request.
  virtual Status prepare(std::size_t tenant, std::int32_t rows) = 0;

  // What the tenants of the runs to come ask for, all of them. A server behind a wire keeps to its configuration.
  virtual Status set_terms(const std::vector<Tenant>& /*tenants*/) { return ok_status(); }

  // Hands a request over and returns at once; its answer comes from wait(). False: as many are on their way for this
  // tenant as the target takes, and nothing was sent. Numbers are never used twice.
  virtual bool send(std::size_t tenant, std::int32_t rows, std::uint64_t number) = 0;

  // The same of a request that was to be sent at `due`, which is now or was before. Where the caller may say when a
  // request came, that is when it came: its objective counts from there.
  virtual bool send_due(std::size_t tenant, std::int32_t rows, std::uint64_t number, TimePoint /*due*/) {
    return send(tenant, rows, number);
  }

  // Nothing: it cannot be known, as of a server behind a wire. Waits for nobody.
  virtual std::optional<Usage> usage() const { return std::nullopt; }

  // Appends answers as soon as there are some; returns at `until` at the latest, at once where that is past.
  virtual void wait(TimePoint until, std::vector<Answer>& answers) = 0;
};

}  // namespace tessera::loadgen
