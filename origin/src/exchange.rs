//! One request and its response, as the books see them: counted once when the head is there, once when the
//! response begins, once when it has left. Not what is answered. Made by `service.rs` for each request.

use std::rc::Rc;

use http::header::ALT_SVC;
use http::{Method, Request, Response, StatusCode, Version};

use crate::body::Body;
use crate::counters::{Count, PathId};
use crate::link::Link;

/// A request that has been counted.
pub(crate) struct Exchange {
    link: Rc<Link>,
    /// `None`: not counted.
    path: Option<PathId>,
    head: bool,
    /// The response tells where HTTP/3 is.
    advertise: bool,
}

impl Exchange {
    /// Counts a request whose head has been received.
    pub(crate) fn begin<B>(link: &Rc<Link>, request: &Request<B>) -> Self {
        let path = request.uri().path();
        // Looking must not change what is seen.
        let counted = !matches!(path, "/stats" | "/stats/reset");
        let spoken = match request.version() {
            Version::HTTP_2 => Count::RequestsH2,
            Version::HTTP_3 => Count::RequestsH3,
            _ => Count::RequestsH1,
        };
        link.worker.counters.add(spoken, counted.into());
        let path = counted.then(|| link.worker.counters.request(path));
        let advertise =
            link.tls && request.version() < Version::HTTP_3 && !link.worker.shared.alt_svc.is_empty();
        Self { link: link.clone(), path, head: request.method() == Method::HEAD, advertise }
    }

    /// Counts the response, and has its body counted.
    pub(crate) fn end(self, mut response: Response<Body>) -> Response<Body> {
        if self.advertise {
            let field = response.headers_mut().entry(ALT_SVC);
            field.or_insert_with(|| self.link.worker.shared.alt_svc.clone());
        }
        let Some(path) = self.path else { return response };
        let status = response.status();
        self.link.worker.counters.response(path, status);
        let unwanted = self.head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        response.body_mut().counted(self.link, unwanted);
        response
    }
}
