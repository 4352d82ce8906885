#include "server/http/backend.h"

#include "server/http/body/json_text.h"
#include "server/status.h"

namespace tessera::server::http {

Answer error_answer(const Error& error) {
  Answer answer;
  answer.status = http_status(error.code());
  answer.body = error_json(error.message());
  answer.retry_after = error.retry_after();
  return answer;
}

}  // namespace tessera::server::http
